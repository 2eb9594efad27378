# unit tests of src/gate
