"""What is read out of the trunk: cameras, dense maps, tracks, masks, flow."""
