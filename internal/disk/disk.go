// Package disk locks files, syncs folders, and opens files in folders that other
// users may write to.
package disk

import "errors"

// ErrLocked is returned by [Lock] if another process, or another open file of
// this one, has the lock.
var ErrLocked = errors.New("it is locked")
