"""Functions of the surface that have no row yet: who adds a row takes the name away.  The list shrinks to nothing."""

PENDING = """
around array asanyarray asarray ascontiguousarray asfortranarray bmat full full_like require round allclose
argpartition argsort argwhere array2string array_equal array_equiv array_repr array_str digitize empty_like flatnonzero
histogram_bin_edges intersect1d isclose isin lexsort ndim nonzero ones_like result_type searchsorted setdiff1d setxor1d
shape size union1d unique_all unique_counts unique_inverse unique_values zeros_like ndarray.T ndarray.mT ndarray.all
ndarray.any ndarray.argmax ndarray.argmin ndarray.argpartition ndarray.argsort ndarray.astype ndarray.choose
ndarray.clip ndarray.compress ndarray.conj ndarray.conjugate ndarray.copy ndarray.cumprod ndarray.cumsum
ndarray.diagonal ndarray.dot ndarray.dtype ndarray.fill ndarray.flat ndarray.flatten ndarray.imag ndarray.item
ndarray.itemsize ndarray.max ndarray.mean ndarray.min ndarray.nbytes ndarray.ndim ndarray.nonzero ndarray.partition
ndarray.prod ndarray.put ndarray.ravel ndarray.real ndarray.repeat ndarray.reshape ndarray.round ndarray.searchsorted
ndarray.shape ndarray.size ndarray.sort ndarray.squeeze ndarray.std ndarray.sum ndarray.swapaxes ndarray.take
ndarray.tolist ndarray.trace ndarray.transpose ndarray.var
""".split()
