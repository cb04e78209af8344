package blendvisionbackend

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/c1508ce4/sluice/internal/httpx"
)

type target struct {
	number int64    // the server's own, echoed when the upload is completed
	url    *url.URL // presigned: its query is a credential
}

// targets reads the server's plan. Part numbers may start anywhere (documentation pages differ).
func targets(data *uploadData, hosts httpx.Hosts) ([]target, error) {
	if data == nil || len(data.Parts) == 0 {
		return nil, errors.New("the server plans no parts")
	}
	list := make([]target, 0, len(data.Parts))
	places := make(map[int64]int, len(data.Parts))
	for i, part := range data.Parts {
		number := int64(part.Number)
		if place, taken := places[number]; taken {
			return nil, fmt.Errorf("the server plans part number %d twice, in places %d and %d", number, place, i+1)
		}
		places[number] = i + 1
		u, err := hosts.Check(part.URL)
		if err != nil {
			return nil, fmt.Errorf("presigned URL of part number %d: %w", number, err)
		}
		list = append(list, target{number: number, url: u})
	}
	return list, nil
}

// split divides size bytes into n parts, equal but for a smaller last one. The
// service does not say how large the parts are: it gives the number of URLs and
// takes parts of 5 MiB to 5 GiB, the last one of any size up to that
// (documented). So where equal parts were too small, all but the last are of
// the smallest size.
func split(size int64, n int, smallest int64) ([]int64, error) {
	part := (size + int64(n) - 1) / int64(n)
	if n > 1 {
		part = max(part, smallest)
	}
	last := size - part*int64(n-1)
	switch {
	case part > maxPart:
		return nil, fmt.Errorf("the server plans %d parts for %d bytes: parts of %d bytes are over its largest of %d",
			n, size, part, int64(maxPart))
	case last < 1:
		return nil, fmt.Errorf("the server plans %d parts for %d bytes: parts of its smallest size, %d bytes, are fewer",
			n, size, smallest)
	}
	sizes := make([]int64, n)
	for i := range sizes {
		sizes[i] = part
	}
	sizes[n-1] = last
	return sizes, nil
}
