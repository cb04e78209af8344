package chaos

import (
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

// disk is a pool's file on a disk that others fill up at some moment. What it
// has room for can be written again; the first byte beyond is the kernel's
// ENOSPC.
type disk struct {
	*os.File
	full *os.File // the device that is always full; nil on systems without it

	mu     sync.Mutex
	writes int   // that come before the moment
	end    int64 // what there is room for from then on, in bytes
	struck bool
}

// fillDisk puts such a file in the place of the pool's own, before it has one,
// or leaves the disk alone: then it is nil. The disk is full within so many
// pages. A program cannot do that; the pool's own fields have to be reached
// into.
func fillDisk(t *testing.T, rng *rand.Rand, pool *sluice.Pool, pages int) *disk {
	buffer := reflect.ValueOf(pool).Elem().FieldByName("buffer")
	if buffer.IsNil() || oneIn(rng, 2) {
		return nil
	}
	d := &disk{writes: rng.IntN(pages + 1), end: int64(rng.IntN(page))} // a page may go half
	var err error
	d.File, err = os.CreateTemp(t.TempDir(), "disk")
	require.NoError(t, err)
	if d.full, err = os.OpenFile("/dev/full", os.O_RDWR, 0); err != nil {
		require.NotEqual(t, "linux", runtime.GOOS, "%v", err)
	}
	file := buffer.Elem().FieldByName("file")
	reflect.NewAt(file.Type(), unsafe.Pointer(file.UnsafeAddr())).Elem().Set(reflect.ValueOf(d))
	return d
}

func (d *disk) WriteAt(data []byte, at int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.writes > 0 {
		d.writes--
		d.end += max(0, at+int64(len(data))-d.end)
	}
	fits := min(max(0, d.end-at), int64(len(data)))
	n, err := d.File.WriteAt(data[:fits], at)
	if err != nil || n == len(data) {
		return n, err
	}
	d.struck = true
	tally.faults.Add(1)
	if d.full == nil {
		return n, &os.PathError{Op: "write", Path: d.Name(), Err: syscall.ENOSPC}
	}
	_, err = d.full.WriteAt(data[fits:], at)
	return n, err
}

func (d *disk) Close() error {
	if d.full != nil {
		_ = d.full.Close()
	}
	return d.File.Close()
}

// wasFull tells whether a page was refused.
func (d *disk) wasFull() bool {
	if d == nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.struck
}
