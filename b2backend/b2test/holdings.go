package b2test

import (
	"cmp"
	"slices"
)

// holdings is what the account has. The server's lock guards it.
type holdings struct {
	keys     []*Key
	keysMade int // ever
	buckets  map[string]*bucket
	files    map[string]*file // versions and unfinished large files, by id
	removed  map[string]*file // what is left of those removed: their places in lists, by id
	tokens   map[string]*token
	sequence int // of the newest file
}

func newHoldings() holdings {
	return holdings{
		buckets: map[string]*bucket{}, files: map[string]*file{}, removed: map[string]*file{}, tokens: map[string]*token{},
	}
}

func (h *holdings) keyByID(id string) *Key {
	for _, k := range h.keys {
		if k.ID == id {
			return k
		}
	}
	return nil
}

func (h *holdings) bucketByName(name string) *bucket {
	for _, b := range h.buckets {
		if b.Name == name {
			return b
		}
	}
	return nil
}

// bucketName is the name of a bucket, null once it is deleted.
func (h *holdings) bucketName(id string) any {
	if b := h.buckets[id]; b != nil {
		return b.Name
	}
	return nil
}

// versions are all of a bucket's versions and unfinished large files, by name and newest first.
func (h *holdings) versions(b *bucket) []*file {
	var found []*file
	for _, f := range h.files {
		if f.bucket == b {
			found = append(found, f)
		}
	}
	slices.SortFunc(found, byName)
	return found
}

// byName orders versions of a bucket.
func byName(a, b *file) int { return cmp.Or(cmp.Compare(a.name, b.name), newestFirst(a, b)) }

// newestFirst orders versions of one name. A large file counts from its start (recorded).
func newestFirst(a, b *file) int {
	return cmp.Or(cmp.Compare(b.timestamp, a.timestamp), cmp.Compare(b.sequence, a.sequence))
}

// newest is the newest version of a name, a hide marker included, nil if there
// is none. Unfinished large files do not count.
func (h *holdings) newest(b *bucket, name string) *file {
	var found *file
	for _, f := range h.files {
		if f.bucket == b && f.name == name && f.action != actionStart && (found == nil || newestFirst(f, found) < 0) {
			found = f
		}
	}
	return found
}

// unfinished are the unfinished large files of a bucket, oldest first.
func (h *holdings) unfinished(b *bucket) []*file {
	var found []*file
	for _, f := range h.files {
		if f.bucket == b && f.action == actionStart {
			found = append(found, f)
		}
	}
	slices.SortFunc(found, oldestFirst)
	return found
}

// oldestFirst orders unfinished large files.
func oldestFirst(a, b *file) int { return newestFirst(b, a) }

// remove forgets a file, but for its place in lists.
func (h *holdings) remove(f *file) {
	delete(h.files, f.id)
	h.removed[f.id] = &file{id: f.id, name: f.name, timestamp: f.timestamp, sequence: f.sequence}
}

// from is the rest of a sorted list from the file with the id on, or from where
// it was before it was removed: a page begins there. An id that nothing ever
// had is refused; whether the service does that is uncertain.
func (h *holdings) from(id string, sorted []*file, order func(a, b *file) int) ([]*file, error) {
	f := cmp.Or(h.files[id], h.removed[id])
	if f == nil {
		return nil, badCode("invalid_file_id", "Invalid fileId: %s", id)
	}
	at, _ := slices.BinarySearchFunc(sorted, f, order)
	return sorted[at:], nil
}

// allUnfinished are those of all buckets.
func (h *holdings) allUnfinished() []*file {
	var found []*file
	for _, b := range h.buckets {
		found = append(found, h.unfinished(b)...)
	}
	return found
}

// stands says whether b was not deleted.
func (h *holdings) stands(b *bucket) bool { return h.buckets[b.ID] == b }

// active says whether f is a large file that still takes parts.
func (h *holdings) active(f *file) bool { return h.files[f.id] == f && f.action == actionStart }
