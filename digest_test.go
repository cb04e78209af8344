package sluice_test

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

func TestDigestsOfTheStreamAreComputedBesideTheUpload(t *testing.T) {
	asked := []sluice.Algorithm{
		{Name: "sha1", New: sha1.New},
		{Name: "md5", New: md5.New},
		memorybackend.SHA256(), // a single upload has it from the part
	}
	for _, size := range []int{0, 1, part, part + 1, 1000} {
		b, data := store(smallLimits()), testutil.Content(size)
		o := smallOptions()
		o.Digests = asked
		f, err := sluice.Upload(t.Context(), b, "f", o, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
		require.NoError(t, err)
		s1, m5, s256 := sha1.Sum(data), md5.Sum(data), sha256.Sum256(data)
		require.Equal(t, s1[:], f.Digests.Get("sha1"), "%d bytes", size)
		require.Equal(t, m5[:], f.Digests.Get("md5"), "%d bytes", size)
		require.Equal(t, s256[:], f.Digests.Get("sha256"), "%d bytes", size)
		require.Nil(t, f.Digests.Get("crc32"))
	}
}

func TestDigestsOwedToTheStoreAreThereAtFinish(t *testing.T) {
	l := smallLimits()
	l.WholeDigests = []sluice.Algorithm{{Name: "sha1", New: sha1.New}}
	for _, size := range []int{0, part, part + 1, 1000} {
		b := store(l) // strict: it refuses a wrong or missing digest
		_, err := sluice.Upload(t.Context(), b, "f", smallOptions(), func(w io.Writer) error {
			_, err := w.Write(testutil.Content(size))
			return err
		})
		require.NoError(t, err)
	}
}
