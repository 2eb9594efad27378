# scenarios with real servers
