"""The Ray shell: banks as virtual actors over the pure core."""
