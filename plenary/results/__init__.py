"""What `import plenary as pl` hands out: results that show themselves, and how they are asked."""
