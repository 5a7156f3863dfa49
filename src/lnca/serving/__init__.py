"""`lnca serve`: restoring over HTTP. The service receives and queues requests; worker processes decode and restore."""
