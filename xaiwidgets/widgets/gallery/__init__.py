"""The parts of ExampleGallery: what is stored of the candidates, what they look like, what is said about them."""
