"""The names of NumPy's differentiable surface: every one has a row in the table, or is pending."""

# Called on a Tensor these can be differentiated, in every mode.
DIFFERENTIABLE = """
abs absolute acos acosh add amax amin angle append apply_along_axis apply_over_axes arccos arccosh arcsin arcsinh
arctan arctan2 arctanh around array array_split asanyarray asarray ascontiguousarray asfortranarray asin asinh
astype atan atan2 atanh atleast_1d atleast_2d atleast_3d average bincount block bmat broadcast_arrays broadcast_to
cbrt choose clip column_stack compress concat concatenate conj conjugate convolve copy copysign corrcoef correlate
cos cosh cov cross cumprod cumsum cumulative_prod cumulative_sum deg2rad degrees delete diag diagflat diagonal diff
divide divmod dot dsplit dstack ediff1d einsum exp exp2 expand_dims expm1 extract fabs flip fliplr flipud
float_power fmax fmin fmod frexp full full_like geomspace gradient heaviside histogram histogram2d histogramdd
hsplit hstack hypot i0 imag inner insert interp kron ldexp linspace log log10 log1p log2 logaddexp logaddexp2
logspace matmul matrix_transpose matvec max maximum mean median meshgrid min minimum mod modf moveaxis multiply
nan_to_num nancumprod nancumsum nanmax nanmean nanmedian nanmin nanpercentile nanprod nanquantile nanstd nansum
nanvar negative outer pad partition percentile permute_dims piecewise poly polyadd polyder polydiv polyfit polyint
polymul polysub polyval positive pow power prod ptp quantile rad2deg radians ravel real real_if_close reciprocal
remainder repeat require reshape resize roll rollaxis roots rot90 round row_stack select sin sinc sinh sort
sort_complex split sqrt square squeeze stack std subtract sum swapaxes take take_along_axis tan tanh tensordot tile
trace transpose trapezoid tril trim_zeros triu true_divide unique unstack unwrap vander var vdot vecdot vecmat
vsplit vstack where
""".split()

# Piecewise constant: the value is right, the derivative zero, the result a constant.
CONSTANT = """
all allclose any argmax argmin argpartition argsort argwhere array2string array_equal array_equiv array_repr
array_str bitwise_and bitwise_count bitwise_invert bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift
bitwise_xor ceil count_nonzero digitize empty_like equal fix flatnonzero floor floor_divide gcd greater
greater_equal histogram_bin_edges intersect1d invert isclose iscomplex iscomplexobj isfinite isin isinf isnan
isneginf isposinf isreal isrealobj lcm left_shift less less_equal lexsort logical_and logical_not logical_or
logical_xor nanargmax nanargmin ndim nextafter nonzero not_equal ones_like result_type right_shift rint searchsorted
setdiff1d setxor1d shape sign signbit size spacing trunc union1d unique_all unique_counts unique_inverse
unique_values zeros_like
""".split()

# Of numpy.linalg.
LINALG = """
cholesky cond cross det diagonal eig eigh eigvals eigvalsh inv lstsq matmul matrix_norm matrix_power
matrix_transpose multi_dot norm outer pinv qr slogdet solve svd svdvals tensordot tensorinv tensorsolve trace vecdot
vector_norm
""".split()

# Of numpy.fft.
FFT = """
fft fft2 fftn fftshift hfft ifft ifft2 ifftn ifftshift ihfft irfft irfft2 irfftn rfft rfft2 rfftn
""".split()

# Methods and attributes of the array.
METHODS = """
T mT all any argmax argmin argpartition argsort astype choose clip compress conj conjugate copy cumprod cumsum
diagonal dot dtype fill flat flatten imag item itemsize max mean min nbytes ndim nonzero partition prod put ravel
real repeat reshape round searchsorted shape size sort squeeze std sum swapaxes take tolist trace transpose var
""".split()

# Constructors cannot see a Tensor through plain `numpy`: they have rows for `needle.numpy` only.
CONSTRUCTORS = "array asanyarray asarray ascontiguousarray asfortranarray bmat full full_like require".split()

# Everything that must have a row.
SURFACE = [
    *DIFFERENTIABLE,
    *CONSTANT,
    *[f"linalg.{name}" for name in LINALG],
    *[f"fft.{name}" for name in FFT],
    *[f"ndarray.{name}" for name in METHODS],
]
