package s3backend

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/c1508ce4/sluice/internal/decode"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
)

// listAnswer is a page of ListObjectsV2 or of ListMultipartUploads.
type listAnswer struct {
	XMLName               xml.Name
	EncodingType          string
	IsTruncated           bool
	NextContinuationToken string
	NextKeyMarker         string
	NextUploadIDMarker    string `xml:"NextUploadIdMarker"`
	Contents              []struct {
		Key          string
		Size         decode.Number
		ETag         string
		LastModified decode.Time
	}
	Uploads []struct {
		Key       string
		UploadID  string `xml:"UploadId"`
		Initiated decode.Time
	} `xml:"Upload"`

	now       time.Time // the store's
	ambiguous bool      // see unescape
}

// IDs are those of the uploads.
func (a *listAnswer) IDs() []string {
	var ids []string
	for i := range a.Uploads {
		ids = append(ids, a.Uploads[i].UploadID)
	}
	return ids
}

// settle decodes the keys of a page, and returns why it is not usable. asked is
// the query. A store that leaves out the EncodingType may have escaped the keys
// all the same, as Ceph does, or not know the parameter. Where that makes a
// difference the page is ambiguous, and is to be asked for again without the
// parameter.
func (a *listAnswer) settle(asked url.Values, pages *httpx.Pages) (err error) {
	keys := []*string{&a.NextKeyMarker}
	for i := range a.Contents {
		keys = append(keys, &a.Contents[i].Key)
	}
	for i := range a.Uploads {
		keys = append(keys, &a.Uploads[i].Key)
	}
	for _, key := range keys {
		if a.EncodingType == "url" {
			if *key, err = url.QueryUnescape(*key); err != nil {
				return errors.New("a key that is not escaped as was asked")
			}
		} else if asked.Has(encodingType) && strings.ContainsAny(*key, "%+") {
			a.ambiguous = true
		}
	}
	next, last := a.NextContinuationToken, ""
	if n := len(a.Contents); n > 0 {
		last = a.Contents[n-1].Key
	}
	if asked.Has("uploads") {
		next = a.NextKeyMarker
	}
	if n := len(a.Uploads); n > 0 {
		last = a.Uploads[n-1].Key + "\x00" + a.Uploads[n-1].UploadID
	}
	switch {
	case a.ambiguous || !a.IsTruncated:
		return nil
	case next == "":
		return errNoProgress
	}
	return pages.Next(last, next+"\x00"+a.NextUploadIDMarker)
}

// encodingType is the parameter of a list that asks for escaped keys. XML has no
// way to write some characters that other programs have put into names.
const encodingType = "encoding-type"

// pages lists by prefix. root is the name of the answer's root element.
func (b *Backend) pages(ctx context.Context, name, root, prefix string, query url.Values) iter.Seq2[*listAnswer, error] {
	return func(yield func(*listAnswer, error) bool) {
		if ctx.Err() != nil {
			yield(nil, retry.Ended(ctx, nil))
			return
		}
		query.Set(encodingType, "url")
		if prefix != "" {
			query.Set("prefix", prefix)
		}
		var pages httpx.Pages
		for {
			var page listAnswer
			k := &call{name: name, method: http.MethodGet, query: query}
			k.read = func(h http.Header, body io.Reader) error {
				if err := decoder(&page)(h, body); err != nil {
					return err
				}
				if page.XMLName.Local != root {
					return fmt.Errorf("expected element type <%s> but have <%s>", root, page.XMLName.Local)
				}
				page.now = b.client.date(h)
				return page.settle(query, &pages)
			}
			err := b.client.do(ctx, k)
			switch {
			case err != nil:
				yield(nil, err)
				return
			case page.ambiguous:
				query.Del(encodingType)
				continue
			case !yield(&page, nil) || !page.IsTruncated:
				return
			case query.Has("uploads"):
				query.Set("key-marker", page.NextKeyMarker)
				query.Set("upload-id-marker", page.NextUploadIDMarker)
			default:
				query.Set("continuation-token", page.NextContinuationToken)
			}
		}
	}
}
