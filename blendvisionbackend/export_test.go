package blendvisionbackend

// WithMinPart returns a handle for a service whose smallest part has n bytes,
// so that a test of many uploads moves fewer of them.
func (b *Backend) WithMinPart(n int64) *Backend {
	handle := *b
	handle.minPart = n
	return &handle
}
