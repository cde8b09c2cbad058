"""What the UDF image promises, checked inside it."""

import numpy
import pandas
import scipy.ndimage
import xarray

cube = xarray.DataArray(numpy.arange(12.0).reshape(3, 4), dims=("y", "x"), coords={"x": pandas.RangeIndex(4)})
assert float(cube.mean()) == 5.5
assert float(scipy.ndimage.uniform_filter(cube.values, 3)[1, 1]) == 5.0
print(f"udf: xarray {xarray.__version__}, scipy {scipy.__version__}")
