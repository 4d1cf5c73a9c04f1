from numpy.ma.testutils import *
from numpy.ma.testutils import fail_if_equal as fail_if_equal
