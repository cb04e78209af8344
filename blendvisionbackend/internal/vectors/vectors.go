// Package vectors reads the documented exchanges that client and server are
// both tested against; see the README in testdata.
package vectors

import (
	"encoding/json"
	"fmt"
	"os"
)

// Vector is one exchange.
type Vector struct {
	Name    string
	Request struct {
		Method, Path string
		Headers      map[string]string
		Body         json.RawMessage
	}
	Response struct {
		Status int
		Body   json.RawMessage
	}
}

// Read reads a file of them, by name. One that has none is an error: a test
// would have tested nothing.
func Read(file string) (map[string]Vector, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list []Vector
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s has no vectors", file)
	}
	byName := make(map[string]Vector, len(list))
	for _, v := range list {
		byName[v.Name] = v
	}
	return byName, nil
}
