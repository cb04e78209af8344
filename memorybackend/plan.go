package memorybackend

import (
	"fmt"

	"github.com/c1508ce4/sluice"
)

// planParts divides a file of size bytes into parts of the size part, as far as
// the limits admit it. An empty file is one empty part.
func planParts(size, part int64, limits sluice.Limits) ([]int64, error) {
	if n := int64(limits.MinParts); n > 0 {
		part = min(part, max(1, size/n))
	}
	if n := int64(limits.MaxParts); n > 0 {
		part = max(part, (size+n-1)/n)
	}
	part = max(part, limits.MinPart, 1)
	count := max(1, (size+part-1)/part)
	switch {
	case limits.MaxPart > 0 && min(part, size) > limits.MaxPart:
		return nil, fmt.Errorf("memorybackend: %d bytes need parts of %d bytes, a part has at most %d: %w",
			size, part, limits.MaxPart, sluice.ErrTooLarge)
	case count < int64(limits.MinParts):
		return nil, fmt.Errorf("memorybackend: %d bytes make %d parts, at least %d are needed", size, count, limits.MinParts)
	}
	plan := make([]int64, count)
	for i := range plan {
		plan[i] = min(part, size-int64(i)*part)
	}
	return plan, nil
}
