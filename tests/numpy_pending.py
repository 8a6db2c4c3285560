"""Functions of the surface that have no row yet: who adds a row takes the name away.  The list shrinks to nothing."""

PENDING = """
amax amin append apply_along_axis apply_over_axes around array array_split asanyarray asarray ascontiguousarray
asfortranarray astype atleast_1d atleast_2d atleast_3d average bincount block bmat broadcast_arrays broadcast_to
choose column_stack compress concat concatenate convolve copy corrcoef correlate cov cross cumprod cumsum
cumulative_prod cumulative_sum delete diag diagflat diagonal diff dot dsplit dstack ediff1d einsum expand_dims
extract flip fliplr flipud full full_like geomspace gradient histogram histogram2d histogramdd hsplit hstack inner
insert interp kron linspace logspace matrix_transpose max mean median meshgrid min moveaxis nancumprod nancumsum
nanmax nanmean nanmedian nanmin nanpercentile nanprod nanquantile nanstd nansum nanvar outer pad partition
percentile permute_dims piecewise poly polyadd polyder polydiv polyfit polyint polymul polysub polyval prod ptp
quantile ravel repeat require reshape resize roll rollaxis roots rot90 round row_stack select sort sort_complex
split squeeze stack std sum swapaxes take take_along_axis tensordot tile trace transpose trapezoid tril trim_zeros
triu unique unstack unwrap vander var vdot vsplit vstack where all allclose any argmax argmin argpartition argsort
argwhere array2string array_equal array_equiv array_repr array_str count_nonzero digitize empty_like flatnonzero
histogram_bin_edges intersect1d isclose isin lexsort nanargmax nanargmin ndim nonzero ones_like result_type
searchsorted setdiff1d setxor1d shape size union1d unique_all unique_counts unique_inverse unique_values zeros_like
linalg.cholesky linalg.cond linalg.cross linalg.det linalg.diagonal linalg.eig linalg.eigh linalg.eigvals
linalg.eigvalsh linalg.inv linalg.lstsq linalg.matmul linalg.matrix_norm linalg.matrix_power linalg.matrix_transpose
linalg.multi_dot linalg.norm linalg.outer linalg.pinv linalg.qr linalg.slogdet linalg.solve linalg.svd
linalg.svdvals linalg.tensordot linalg.tensorinv linalg.tensorsolve linalg.trace linalg.vecdot linalg.vector_norm
fft.fft fft.fft2 fft.fftn fft.fftshift fft.hfft fft.ifft fft.ifft2 fft.ifftn fft.ifftshift fft.ihfft fft.irfft
fft.irfft2 fft.irfftn fft.rfft fft.rfft2 fft.rfftn ndarray.T ndarray.mT ndarray.all ndarray.any ndarray.argmax
ndarray.argmin ndarray.argpartition ndarray.argsort ndarray.astype ndarray.choose ndarray.clip ndarray.compress
ndarray.conj ndarray.conjugate ndarray.copy ndarray.cumprod ndarray.cumsum ndarray.diagonal ndarray.dot
ndarray.dtype ndarray.fill ndarray.flat ndarray.flatten ndarray.imag ndarray.item ndarray.itemsize ndarray.max
ndarray.mean ndarray.min ndarray.nbytes ndarray.ndim ndarray.nonzero ndarray.partition ndarray.prod ndarray.put
ndarray.ravel ndarray.real ndarray.repeat ndarray.reshape ndarray.round ndarray.searchsorted ndarray.shape
ndarray.size ndarray.sort ndarray.squeeze ndarray.std ndarray.sum ndarray.swapaxes ndarray.take ndarray.tolist
ndarray.trace ndarray.transpose ndarray.var
""".split()
