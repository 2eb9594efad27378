# unit tests of src/request
