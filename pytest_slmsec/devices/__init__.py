"""Device profiles: what a device has, how this machine is limited to it, and what a model does within."""
