"""From text to candidate facts."""
