from numpy.random.mtrand import *
