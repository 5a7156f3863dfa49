"""`lnca serve`: restoring over HTTP. The service listens and queues; processes of their own decode and restore."""
