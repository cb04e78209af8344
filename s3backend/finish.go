package s3backend

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/internal/size"
	"github.com/c1508ce4/sluice/internal/uploadstate"
)

// Finish assembles the file by CompleteMultipartUpload, whose answer may carry
// an error under status 200. The ETag, the checksum and the number of parts in
// the answer are compared with those that the parts make; a CRC64NVME is one of
// the whole file, which the store compares too. If no such answer
// comes, HeadObject shows whether the file is there: by the tag that the upload
// was started with, and for one that was resumed by the checksum or ETag that
// only its parts make. That an upload is gone proves nothing: it may have been
// cancelled. So a finish of which no answer came, and whose file cannot be
// seen, is [sluice.ErrFinishUnknown].
func (f *largeFile) Finish(ctx context.Context, parts []sluice.Receipt, _ sluice.Digests) (sluice.File, error) {
	if ctx.Err() != nil {
		return sluice.File{}, retry.Ended(ctx, nil)
	}
	if _, err := f.completion(parts, f.sent()); err != nil {
		return sluice.File{}, err
	}
	if err := f.backend.verifyNew(ctx, f.name); err != nil {
		return sluice.File{}, err
	}
	if err := f.state.Change(uploadstate.Open, uploadstate.Finishing); err != nil {
		return sluice.File{}, err
	}
	// A store completes an upload once, whatever it is asked.
	var c *completion
	var err error
	result := retry.Result{Outcome: retry.NotDone}
	for sum := f.sent(); ; sum = noChecksum {
		if c, err = f.completion(parts, sum); err == nil {
			result, err = f.backend.client.commitAfter(ctx, result, c.call, retry.Commit{
				Lookup: c.lookup, Repeat: true, Grace: retry.SettleTime, Doubt: sluice.ErrFinishUnknown,
			})
		}
		if err == nil {
			f.settle(sum)
		}
		if !f.givesUp(sum, err) {
			break
		}
	}
	if err == nil && c.etag == "" {
		if err = c.complete(ctx); err != nil {
			result.Outcome = retry.Unknown
		}
	}
	f.state.Settle(result.Outcome)
	if err != nil {
		return sluice.File{}, exists(err)
	}
	file := sluice.File{ID: id(c.version, c.etag), Name: f.name, Size: c.size, Parts: len(parts)}
	if sum, err := base64.StdEncoding.DecodeString(c.wantWhole); err == nil && c.wantWhole != "" && c.told == c.wantWhole {
		file.Digests = sluice.Digests{{Name: c.sent.name, Sum: sum}}
	}
	return file, f.backend.verify(ctx, file, c.version, c.etag, f.asked, nil)
}

type completion struct {
	*largeFile
	call  *call
	sent  checksum
	parts int
	size  int64
	// What the store makes of the parts' own; "" if that cannot be foreseen.
	wantTag, wantComposite, wantWhole string

	// What the store said of the finished file.
	etag, version, told string
}

// completion validates the receipts and makes the call.
func (f *largeFile) completion(parts []sluice.Receipt, sent checksum) (*completion, error) {
	if len(parts) < 1 || len(parts) > f.backend.limits.MaxParts {
		return nil, fmt.Errorf("s3backend: %d parts; a large file has 1 to %d", len(parts), f.backend.limits.MaxParts)
	}
	c := &completion{largeFile: f, sent: sent, parts: len(parts)}
	if !f.backend.opaqueTags {
		c.wantTag = entityTag(parts)
	}
	sums := make([][]byte, len(parts))
	request := completeRequest{Parts: make([]completedPart, len(parts))}
	for i, p := range parts {
		if p.Number != i+1 || p.ETag == "" {
			return nil, fmt.Errorf("s3backend: receipt %d is of part %d with the ETag %q", i+1, p.Number, p.ETag)
		}
		if first, last := parts[0].Size, i == len(parts)-1; f.backend.limits.EqualParts && (p.Size > first || p.Size < first && !last) {
			return nil, fmt.Errorf("s3backend: part %d has %d bytes, the first has %d, and this store takes parts of one size", i+1, p.Size, first)
		}
		c.size = size.Add(c.size, p.Size)
		request.Parts[i] = completedPart{PartNumber: p.Number, ETag: p.ETag}
		if !sent.keeps() {
			continue
		}
		if sums[i] = p.Digests.Get(sent.name); sums[i] == nil {
			sums[i] = f.sum(p.Number)
		}
		*request.Parts[i].by(sent.name) = base64.StdEncoding.EncodeToString(sums[i])
	}
	c.wantComposite, c.wantWhole = sent.composite(sums), sent.whole(parts, sums)
	body, err := xml.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("s3backend: %w", err)
	}
	c.call = f.call("CompleteMultipartUpload", http.MethodPost, nil)
	c.call.slow = true
	c.call.body = body
	c.call.header.Set("Content-Type", "application/xml")
	f.backend.options.setCondition(c.call.header)
	if c.wantWhole != "" { // the store compares it before the file is visible
		c.call.header.Set(sent.header, c.wantWhole)
		c.call.header.Set("X-Amz-Checksum-Type", fullObject)
	}
	c.call.read = func(h http.Header, body io.Reader) error {
		var answer completeAnswer
		if err := decoder(&answer)(h, body); err != nil {
			return err
		}
		if answer.ETag == "" && answer.Key != f.name {
			return errors.New("no ETag")
		}
		told := ""
		if sent.keeps() {
			told = *answer.by(sent.name)
		}
		c.etag, c.version, c.told = strongTag(answer.ETag), h.Get("X-Amz-Version-Id"), told
		return c.compare(c.etag, told)
	}
	return c, nil
}

// complete learns the ETag of a finished file. Ceph 16 answers a finish with an empty one (seen
// with 16.2.15). It is taken to be the usual one if the file may not be read, or was replaced
// since. A file that contradicts the parts is not known to be whole.
func (c *completion) complete(ctx context.Context) error {
	ctx, cancel := retry.Detached(ctx, retry.SettleTime)
	defer cancel()
	c.etag = c.wantTag
	seen, err := c.backend.head(ctx, c.name, c.sent)
	if err != nil {
		return nil
	}
	switch err := c.identify(&seen, true); {
	case err == nil:
		c.etag, c.version, c.told = seen.tag, seen.version, seen.checksum
	case errors.Is(err, errNotOurs), c.ownTag != "" && errors.Is(err, errOthers):
	default:
		return fmt.Errorf("%w: %w", sluice.ErrFinishUnknown, err)
	}
	return nil
}

// lookup asks once what became of the upload. That it is still listed says little
// of a finish that may be at work. But if the finish was refused because of a file
// that is there, that one is another upload's: its own would have ended the upload.
func (c *completion) lookup(ctx context.Context, refusal error) (retry.Outcome, error) {
	left := c.exists(ctx, c.backend.client.ask)
	seen, err := c.backend.head(ctx, c.name, c.sent)
	if err == nil {
		err = c.identify(&seen, isGone(left))
	}
	switch {
	case err == nil:
		c.etag, c.version, c.told = seen.tag, seen.version, seen.checksum
		return retry.Done, nil
	case left == nil && isThere(refusal) && !isMissing(err):
		return retry.NotDone, err
	default:
		return retry.Unknown, err
	}
}

// identify says why a file is not known to be the one that this upload makes.
// Equal checksums and ETags do not tell it from an older file of the same bytes,
// so without a tag the store must say that the upload is gone, too.
func (c *completion) identify(seen *object, gone bool) error {
	switch {
	case c.ownTag != "" && seen.ownTag != c.ownTag:
		return errOthers
	case seen.size != c.size && c.ownTag == "":
		return fmt.Errorf("%w: it has %d bytes, not %d", errOthers, seen.size, c.size)
	case seen.size != c.size:
		return fmt.Errorf("the file that is there has %d bytes, not %d", seen.size, c.size)
	}
	if err := c.compare(seen.tag, seen.checksum); err != nil {
		return err
	}
	if c.ownTag != "" || gone && (c.want(seen.checksum) != "" || sameTag(seen.tag, c.wantTag)) {
		return nil
	}
	return errNotOurs
}

// want is what a checksum of its form has to be, "" if that is not known. One
// without the number of parts is one of the bytes.
func (c *completion) want(checksum string) string {
	switch {
	case checksum == "":
		return ""
	case strings.Contains(checksum, "-"):
		return c.wantComposite
	default:
		return c.wantWhole
	}
}

// compare says what contradicts that a file of this ETag and checksum is made of
// the parts. Of an ETag of another form, which is the store's own, nothing is
// known.
func (c *completion) compare(tag, checksum string) error {
	if want := c.want(checksum); want != "" {
		if checksum != want {
			return fmt.Errorf("the file that is there has the checksum %.100q, not %q", checksum, want)
		}
		return nil
	}
	made := partsTag.FindStringSubmatch(tag)
	switch {
	case made == nil:
		return nil
	case made[1] != strconv.Itoa(c.parts):
		return fmt.Errorf("the file that is there has %s parts by its ETag %s, not %d", made[1], tag, c.parts)
	case c.wantTag != "" && !sameTag(tag, c.wantTag):
		return fmt.Errorf("the file that is there has the ETag %s, not %s; if this store's ETags are not made of those of the parts, set Options.OpaqueETags", tag, c.wantTag)
	}
	return nil
}

// partsTag is the form of an ETag that is made of those of the parts.
var partsTag = regexp.MustCompile(`^"?[0-9a-fA-F]{32}-([0-9]{1,5})"?$`)

// sameTag reports whether two ETags are the same and not empty. Quotes are left
// out in the answers of some stores, and some write upper case.
func sameTag(x, y string) bool {
	return x != "" && strings.EqualFold(strings.Trim(x, `"`), strings.Trim(y, `"`))
}
