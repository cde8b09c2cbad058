"""netCDF files of people, unpacked into GeoTIFFs by a process of its own: HDF5 can name other files."""
