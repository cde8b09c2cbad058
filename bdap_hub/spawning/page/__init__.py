"""The pages on which people choose, start, watch and stop their servers, and what these show."""
