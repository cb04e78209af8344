//go:build !unix

package chaos

import "errors"

func limitFiles(uint64) error { return errors.ErrUnsupported }
