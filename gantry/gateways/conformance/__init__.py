"""Whether the live doors do with real input what the data's README says they must."""
