"""Floor 5: colour maps, the flow wheel, figures."""
