# unit tests of src/fiber
