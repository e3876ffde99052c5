"""The simulated province: invented air over real places and stations, with its truth beside it. Pure."""
