"""Publishing an adapter: model card and Hugging Face hub layout."""
