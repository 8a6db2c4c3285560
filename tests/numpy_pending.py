"""Functions of the surface that have no row yet: who adds a row takes the name away.  The list shrinks to nothing."""

PENDING = """
apply_along_axis apply_over_axes around array asanyarray asarray ascontiguousarray asfortranarray bincount bmat
convolve corrcoef correlate cov cross diff dot ediff1d einsum full full_like geomspace gradient histogram histogram2d
histogramdd inner interp kron linspace logspace median nanmedian nanpercentile nanquantile outer partition percentile
poly polyadd polyder polydiv polyfit polyint polymul polysub polyval quantile require roots round sort sort_complex
tensordot trapezoid unwrap vander vdot allclose argpartition argsort argwhere array2string array_equal array_equiv
array_repr array_str digitize empty_like flatnonzero histogram_bin_edges intersect1d isclose isin lexsort ndim nonzero
ones_like result_type searchsorted setdiff1d setxor1d shape size union1d unique_all unique_counts unique_inverse
unique_values zeros_like ndarray.T ndarray.mT ndarray.all ndarray.any ndarray.argmax ndarray.argmin
ndarray.argpartition ndarray.argsort ndarray.astype ndarray.choose ndarray.clip ndarray.compress ndarray.conj
ndarray.conjugate ndarray.copy ndarray.cumprod ndarray.cumsum ndarray.diagonal ndarray.dot ndarray.dtype ndarray.fill
ndarray.flat ndarray.flatten ndarray.imag ndarray.item ndarray.itemsize ndarray.max ndarray.mean ndarray.min
ndarray.nbytes ndarray.ndim ndarray.nonzero ndarray.partition ndarray.prod ndarray.put ndarray.ravel ndarray.real
ndarray.repeat ndarray.reshape ndarray.round ndarray.searchsorted ndarray.shape ndarray.size ndarray.sort
ndarray.squeeze ndarray.std ndarray.sum ndarray.swapaxes ndarray.take ndarray.tolist ndarray.trace ndarray.transpose
ndarray.var
""".split()
