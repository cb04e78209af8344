package sluice

import (
	"bytes"
	"context"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// hold is a store that keeps parts, and can be made to wait with them.
type hold struct {
	Unsupported
	wait chan struct{}

	mu    sync.Mutex
	parts map[int][]byte
}

func (*hold) Limits() Limits {
	return Limits{MaxParts: 1000, MaxSingle: 1 << 30, PartDigests: []Algorithm{crc}}
}

var crc = Algorithm{Name: "crc32", New: func() hash.Hash { return crc32.NewIEEE() }}

func (h *hold) store(p *Part, read func(*Body) []byte) []byte {
	body := p.Attempt()
	data := read(body)
	_ = body.Close()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.parts == nil {
		h.parts = map[int][]byte{}
	}
	h.parts[p.Number] = data
	return data
}

func (h *hold) UploadFile(_ context.Context, _ FileSpec, p *Part) (File, error) {
	h.store(p, func(b *Body) []byte { data, _ := io.ReadAll(b); return data })
	return File{}, nil
}

func (h *hold) UploadPart(ctx context.Context, p *Part) (Receipt, error) {
	select {
	case <-h.wait:
	case <-ctx.Done():
		return Receipt{}, ctx.Err()
	}
	stored := h.store(p, func(b *Body) []byte {
		var data bytes.Buffer
		if p.Number%2 == 0 {
			_, _ = b.WriteTo(&data)
		} else {
			_, _ = data.ReadFrom(b)
		}
		return data.Bytes()
	})
	return Receipt{Size: p.Size, Digests: Digests{{"crc32", crcOf(stored)}}}, nil
}

func crcOf(data []byte) []byte {
	c := crc32.NewIEEE()
	_, _ = c.Write(data)
	return c.Sum(nil)
}

func (h *hold) StartLargeFile(context.Context, FileSpec) (LargeFile, error) { return h, nil }
func (*hold) Info() LargeFileInfo                                           { return LargeFileInfo{ID: "x"} }
func (*hold) Cancel(context.Context) error                                  { return nil }
func (*hold) Finish(context.Context, []Receipt, Digests) (File, error)      { return File{}, nil }

func (h *hold) content() []byte {
	var data []byte
	for n := range len(h.parts) {
		data = append(data, h.parts[n+1]...)
	}
	return data
}

func bufferedWriter(t *testing.T, h *hold, dir string) *LargeFileWriter {
	w, err := New(t.Context(), h, "f", &Options{
		BufferDir: dir, MemoryLimit: 64 << 10, PageSize: 4 << 10, PartSize: 12 << 10, Concurrency: 2, Digests: []Algorithm{crc},
	})
	require.NoError(t, err)
	return w
}

func TestBufferedPagesLieInAFileWithoutAName(t *testing.T) {
	dir, data := t.TempDir(), bytes.Repeat([]byte("0123456789"), 20_001)
	h := &hold{wait: make(chan struct{})}
	w := bufferedWriter(t, h, dir)
	_, err := w.Write(data[:50_000])
	require.NoError(t, err)
	require.Positive(t, w.plan.pool.buffer.end, "pages are in the file")
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Empty(t, names)
	close(h.wait)
	_, err = w.ReadFrom(bytes.NewReader(data[50_000:]))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Equal(t, data, h.content())
	require.Equal(t, crcOf(data), w.File().Digests.Get("crc32"))
	pool := w.plan.pool
	require.LessOrEqual(t, pool.buffer.end, pool.Limit(), "the limit counts the file")
	require.LessOrEqual(t, len(pool.free), 2, "memory is the page being filled, and the last one")
	require.LessOrEqual(t, len(pool.buffer.scratch), w.pipeline.hashing.started+w.pipeline.queue.uploaders+1, "each hasher and uploader reads, and who digests the stream")
	require.Nil(t, pool.buffer.file, "the file is closed with the stream")
	require.Zero(t, pool.InUse())
}

func TestATinyStreamNeverTouchesTheDisk(t *testing.T) {
	h := &hold{}
	w := bufferedWriter(t, h, t.TempDir())
	_, err := w.Write(make([]byte, 4<<10))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Zero(t, w.plan.pool.buffer.end)
	require.Len(t, h.parts[0], 4<<10)
}

func TestAFullDiskFailsTheStream(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /dev/full of Linux")
	}
	h := &hold{}
	w := bufferedWriter(t, h, t.TempDir())
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	require.NoError(t, err)
	w.plan.pool.buffer.file = full
	_, err = w.Write(make([]byte, 100<<10))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.EqualError(t, err, `sluice: buffer "f": write /dev/full: no space left on device`)
	require.ErrorIs(t, w.Close(), syscall.ENOSPC)
	require.Zero(t, w.plan.pool.InUse())
	require.Nil(t, w.plan.pool.buffer.file)
}

func TestAFileThatCannotBeReadBackFailsTheStream(t *testing.T) {
	h := &hold{wait: make(chan struct{})}
	dir := t.TempDir()
	w := bufferedWriter(t, h, dir)
	only, err := os.OpenFile(filepath.Join(dir, "write-only"), os.O_WRONLY|os.O_CREATE, 0o600)
	require.NoError(t, err)
	w.plan.pool.buffer.file = only
	_, _ = w.Write(make([]byte, 100<<10))
	require.ErrorContains(t, w.Close(), "write-only: bad file descriptor")
	require.Empty(t, h.parts)
	require.Zero(t, w.plan.pool.InUse())
}

func TestWritersShareAFilePool(t *testing.T) {
	pool, err := NewFilePool(t.TempDir(), 64<<10, 4<<10)
	require.NoError(t, err)
	var writers sync.WaitGroup
	for i := range 8 {
		data := bytes.Repeat([]byte{byte(i)}, 300_000)
		writers.Go(func() {
			h := &hold{wait: make(chan struct{})}
			close(h.wait)
			_, err := Upload(t.Context(), h, "f", &Options{Pool: pool}, func(w io.Writer) error {
				_, err := io.Copy(w, bytes.NewReader(data))
				return err
			})
			if err != nil || !bytes.Equal(data, h.content()) {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	writers.Wait()
	require.Zero(t, pool.InUse())
	require.LessOrEqual(t, pool.buffer.end, pool.Limit())
	require.NoError(t, pool.Close())
	require.Nil(t, pool.buffer.file)
}

func TestABufferFolderThatIsNoneIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := NewFilePool(file, 0, 0)
	require.EqualError(t, err, "sluice: buffer folder: "+file+" is not a folder")
	_, err = New(t.Context(), &hold{}, "f", &Options{BufferDir: file + "-not"})
	require.ErrorIs(t, err, os.ErrNotExist)
}
