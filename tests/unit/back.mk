# unit tests of src/back
