"""Models of other programs, and for them. Read the files in this order.

hdf5            the files of Keras' weights, read from untrusted sources (hdf5_source, hdf5_values)
"""
