package s3backend

import (
	"context"
	"encoding/xml"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/httpx"
)

// attributesAnswer is the parts of a file in parts (S3 API reference,
// GetObjectAttributes: documented). Amazon S3 lists them only where they were
// uploaded with checksums.
type attributesAnswer struct {
	XMLName     xml.Name `xml:"GetObjectAttributesResponse"`
	ObjectParts struct {
		IsTruncated          bool
		NextPartNumberMarker int
		Parts                []struct {
			PartNumber int
			Size       int64
			checksums
		} `xml:"Part"`
	}
}

// attributes asks for the parts of f. They are nil where the store does not tell
// them, or tells them of other bytes.
func (b *Backend) attributes(ctx context.Context, f *sluice.StoredFile) ([]sluice.Receipt, error) {
	var parts []sluice.Receipt
	var total int64
	most := max(defaultMaxParts, b.limits.MaxParts)
	query := url.Values{"attributes": {""}}
	if v := version(f); v != "" {
		query.Set("versionId", v)
	}
	h := http.Header{"X-Amz-Object-Attributes": {"ObjectParts"}, "If-Match": {f.ETag}, "X-Amz-Max-Parts": {"1000"}}
	b.options.Encryption.setCustomer(h)
	for {
		var page attributesAnswer
		k := &call{
			name: "GetObjectAttributes", method: http.MethodGet, key: f.Name, query: query, header: h,
			secrets: b.options.Encryption.secrets(), read: decoder(&page),
		}
		// A store that does not know the call may answer with the file itself,
		// which is not to be asked for many times.
		err := b.client.ask(ctx, k)
		if d, _ := classify(err); err != nil && d != final && !isUnusable(err) {
			err = b.client.do(ctx, k)
		}
		if err != nil {
			if e, ok := errors.AsType[*Error](err); ok && e.Status < 500 || ok && e.Status == http.StatusNotImplemented || isUnusable(err) {
				b.client.log.Debug("s3: the parts of a file are not known", slog.Any("because", err))
				return nil, nil
			}
			return nil, err
		}
		for i := range page.ObjectParts.Parts {
			p := &page.ObjectParts.Parts[i]
			r := sluice.Receipt{Number: p.PartNumber, Size: p.Size, Digests: p.digests()}
			if r.Number != len(parts)+1 || r.Number > most || r.Size < 0 || r.Size > f.Size-total {
				return nil, nil
			}
			total += r.Size
			parts = append(parts, r)
		}
		next := page.ObjectParts.NextPartNumberMarker
		if !page.ObjectParts.IsTruncated {
			break
		}
		if next != len(parts) || len(page.ObjectParts.Parts) == 0 {
			return nil, nil
		}
		h.Set("X-Amz-Part-Number-Marker", strconv.Itoa(next))
	}
	if total != f.Size {
		return nil, nil
	}
	return parts, nil
}

func isUnusable(err error) bool {
	_, ok := errors.AsType[*httpx.AnswerError](err)
	return ok
}
