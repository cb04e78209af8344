package sluice_test

import (
	"context"
	"crypto/md5"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// relisted is a store that lists stored parts by other digests than those that
// parts are sent with.
type relisted struct {
	sluice.Backend
	relist func(sluice.Receipt) sluice.Digests
	known  []sluice.Algorithm
}

func (r relisted) ResumeLargeFile(ctx context.Context, spec sluice.FileSpec, id string) (sluice.LargeFile, error) {
	f, err := r.Backend.ResumeLargeFile(ctx, spec, id)
	return relistedFile{f, r}, err
}

type relistedFile struct {
	sluice.LargeFile
	store relisted
}

func (f relistedFile) Info() sluice.LargeFileInfo {
	i := f.LargeFile.Info()
	i.Algorithms = f.store.known
	i.Stored = append([]sluice.Receipt(nil), i.Stored...)
	for n := range i.Stored {
		i.Stored[n].Digests = f.store.relist(i.Stored[n])
	}
	return i
}

func TestResume_ComparesByTheDigestsThatTheStoreLists(t *testing.T) {
	data := testutil.Content(6*part + 7)
	md5s := []sluice.Algorithm{{Name: "md5", New: md5.New}}
	ofData := func(r sluice.Receipt) sluice.Digests {
		sum := md5.Sum(data[(r.Number-1)*part : (r.Number-1)*part+int(r.Size)])
		return sluice.Digests{{Name: "md5", Sum: sum[:]}}
	}
	for name, c := range map[string]struct {
		relist func(sluice.Receipt) sluice.Digests
		known  []sluice.Algorithm
		stream []byte
		reused bool
		err    error
	}{
		"same bytes":        {ofData, md5s, data, true, nil},
		"other bytes":       {ofData, md5s, testutil.Content(6*part + 8)[1:], false, sluice.ErrResumeMismatch},
		"unknown algorithm": {ofData, nil, data, false, nil},
		"no digests":        {func(sluice.Receipt) sluice.Digests { return nil }, md5s, data, false, nil},
		"both": {func(r sluice.Receipt) sluice.Digests {
			return append(r.Digests, sluice.Digest{Name: "md5", Sum: []byte("an opaque ETag")})
		}, md5s, data, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			memory := store(smallLimits())
			interrupt(t, memory, data, 5, func(o *sluice.Options) { o.Concurrency = 1 })
			b := faults.New(relisted{memory, c.relist, c.known})
			w, err := sluice.New(t.Context(), b, "f", resumeOptions())
			require.NoError(t, err)
			_, _ = w.Write(c.stream)
			err = w.Close()
			require.ErrorIs(t, err, c.err)
			if c.err == nil {
				require.Equal(t, c.stream, readBack(t, memory, "f"))
				require.Equal(t, c.reused, w.Stats().Reused == 4*part)
				require.Equal(t, c.reused, len(b.Calls(faults.UploadPart)) == 3)
			}
		})
	}
}
