"""What the service is measured by."""
