package memorybackend

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/c1508ce4/sluice"
)

// Parts that come at once are each compared with the one that was there, and differ; only one of them may take its place.
func TestEqualPartsAtOnceHaveOneReceipt(t *testing.T) {
	u := &upload{parts: make(map[int]storedPart)}
	data := make([]byte, 1<<20)
	for range 50 {
		data = bytes.Clone(data)
		data[len(data)-1]++ // so that it takes its time to see that they differ
		receipts := make([]sluice.Receipt, 4)
		began := make(chan struct{})
		var group errgroup.Group
		for i := range receipts {
			group.Go(func() (err error) {
				<-began
				receipts[i], err = u.store(storedPart{data: data, receipt: sluice.Receipt{Number: 1, Size: int64(len(data))}}, true)
				return err
			})
		}
		close(began)
		require.NoError(t, group.Wait())
		for _, r := range receipts {
			require.Equal(t, receipts[0], r)
		}
	}
}
