"""HTTP in, HTTP out: the Ray Serve application."""
