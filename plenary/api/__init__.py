"""The front door in Python: what `import plenary as pl` offers.

Every function that asks a model is there twice: `pl.hold_assembly(...)` for scripts, shells and
notebooks, and `await pl.ahold_assembly(...)` for code that is inside an event loop of its own.
`quiet`: None shows progress where a person looks (a terminal, a notebook), True never, False
always. Whatever is wrong is an error of `plenary.errors` that says what to do.
"""
