package filebackend

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"slices"
	"sort"
	"time"

	"github.com/c1508ce4/sluice"
)

// extent is the bytes of one part in the file.
type extent struct {
	number       int
	offset, size int64
	sum          uint32 // CRC-32C of the bytes
	stored       time.Time
	unread       bool // recorded by an earlier handle, and not compared with the data since
}

func (e extent) end() int64 { return e.offset + e.size }

func (e extent) overlaps(o extent) bool { return e.offset < o.end() && o.offset < e.end() }

// layout says which bytes of the file are which part. It does no I/O.
type layout struct {
	stored  []extent      // by rising offset; none shares a byte or a number with another
	offsets map[int]int64 // of the stored parts, by number
	writing []extent      // the parts being written: a few
}

// claim takes the bytes of a part for writing, until release. The parts that
// replaced names are to be dropped first.
func (l *layout) claim(e extent) error {
	for _, w := range l.writing {
		if w.number == e.number {
			return fmt.Errorf("part %d is being uploaded already", e.number)
		}
		if w.overlaps(e) {
			return fmt.Errorf("part %d at bytes %d to %d overlaps part %d, which is being uploaded to %d to %d",
				e.number, e.offset, e.end(), w.number, w.offset, w.end())
		}
	}
	l.writing = append(l.writing, e)
	return nil
}

func (l *layout) release(number int) {
	l.writing = slices.DeleteFunc(l.writing, func(e extent) bool { return e.number == number })
}

// replaced is the numbers of the stored parts that writing e destroys or replaces.
func (l *layout) replaced(e extent) []int {
	var numbers []int
	for i := l.search(e.offset); i < len(l.stored) && l.stored[i].offset < e.end(); i++ {
		numbers = append(numbers, l.stored[i].number)
	}
	if _, ok := l.offsets[e.number]; ok && !slices.Contains(numbers, e.number) {
		numbers = append(numbers, e.number)
	}
	return numbers
}

// search is the index of the first stored part that ends after offset.
func (l *layout) search(offset int64) int {
	return sort.Search(len(l.stored), func(i int) bool { return l.stored[i].end() > offset })
}

func (l *layout) drop(numbers []int) {
	for _, n := range numbers {
		if offset, ok := l.offsets[n]; ok {
			i := l.search(offset)
			l.stored = slices.Delete(l.stored, i, i+1)
			delete(l.offsets, n)
		}
	}
}

// store files a part whose bytes are in the file. Nothing it replaces is left.
func (l *layout) store(e extent) {
	if l.offsets == nil {
		l.offsets = make(map[int]int64)
	}
	l.stored = slices.Insert(l.stored, l.search(e.offset), e)
	l.offsets[e.number] = e.offset
}

func (l *layout) cut(size int64) {
	var beyond []int
	for _, e := range l.stored {
		if e.end() > size {
			beyond = append(beyond, e.number)
		}
	}
	l.drop(beyond)
}

// parts are those stored, by rising number.
func (l *layout) parts() []sluice.StoredPart {
	var list []sluice.StoredPart
	for _, e := range l.stored {
		list = append(list, sluice.StoredPart{Receipt: e.receipt(), Stored: e.stored})
	}
	slices.SortFunc(list, func(x, y sluice.StoredPart) int { return x.Number - y.Number })
	return list
}

func (l *layout) receipts() []sluice.Receipt {
	var list []sluice.Receipt
	for _, p := range l.parts() {
		list = append(list, p.Receipt)
	}
	return list
}

func (e extent) receipt() sluice.Receipt {
	return sluice.Receipt{Number: e.number, Size: e.size, Digests: digests(e.sum)}
}

// tile checks that the stored parts are just those of the receipts, and lie one
// after the other from the first byte on. It returns the size of the file.
func (l *layout) tile(parts []sluice.Receipt) (int64, error) {
	if len(parts) == 0 {
		return 0, errors.New("there are no parts")
	}
	var total int64
	for i := range parts {
		r, n := &parts[i], i+1
		offset, ok := l.offsets[n]
		switch {
		case r.Number != n:
			return 0, fmt.Errorf("receipt %d of %d is of part %d", n, len(parts), r.Number)
		case !ok:
			return 0, fmt.Errorf("part %d is not stored, or another part was written over it", n)
		case offset != total:
			return 0, fmt.Errorf("part %d is stored at byte %d, the parts before it end at %d", n, offset, total)
		}
		e := l.stored[l.search(offset)]
		if r.Size != e.size {
			return 0, fmt.Errorf("the receipt of part %d says %d bytes, %d are stored", n, r.Size, e.size)
		}
		if err := agree(r.Digests, e.sum); err != nil {
			return 0, fmt.Errorf("the receipt of part %d: %w", n, err)
		}
		total = e.end()
	}
	if len(l.stored) != len(parts) {
		return 0, fmt.Errorf("it is finished with %d parts, %d are stored", len(parts), len(l.stored))
	}
	return total, nil
}

// crc32c is the algorithm of Limits.PartDigests: the CRC-32 of the Castagnoli polynomial, for which
// processors have an instruction. It finds accidents, not forgeries.
func crc32c() sluice.Algorithm {
	return sluice.Algorithm{Name: "crc32c", New: func() hash.Hash { return newCRC() }}
}

func newCRC() hash.Hash32 { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }

func digests(sum uint32) sluice.Digests {
	return sluice.Digests{{Name: crc32c().Name, Sum: binary.BigEndian.AppendUint32(nil, sum)}}
}

// agree compares what the caller says of some bytes with their sum.
func agree(said sluice.Digests, sum uint32) error {
	own := digests(sum)[0]
	if other := said.Get(own.Name); other != nil && !bytes.Equal(other, own.Sum) {
		return fmt.Errorf("its %s is declared as %x, the bytes have %x", own.Name, other, own.Sum)
	}
	return nil
}
