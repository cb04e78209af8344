package s3backend

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
)

// This file finds out whether a store did what the options of a file ask for. Some stores ignore
// headers that they do not know, and answer success.

// OptionsError reports that a store took a file and did not do what its options ask for, or that
// this could not be verified.
type OptionsError struct {
	// File is what is stored, whole. It is the zero value if the answer to the
	// start of a large file showed the failure: nothing of the stream was sent
	// then, and nothing is stored.
	File sluice.File
	// Unmet has an entry for each option, with what was asked for and what the store has.
	Unmet []string
	// Err is why the file could not be looked at, nil if it could.
	Err error
}

// Error names the file that is stored, the options, and what to do.
func (e *OptionsError) Error() string {
	unmet := strings.Join(e.Unmet, "; ")
	switch {
	case e.File.Name == "" && e.Err != nil:
		return fmt.Sprintf("s3backend: options of the file cannot be verified, so nothing was sent (FileOptions.Unverified"+
			" lists what to take for granted): %s: %v", unmet, e.Err)
	case e.File.Name == "":
		return "s3backend: the store ignores options of the file, so nothing was sent: " + unmet
	case e.Err != nil:
		return fmt.Sprintf("s3backend: %q (ID %.100q) was stored whole, but options of it cannot be verified (FileOptions.Unverified"+
			" lists what to take for granted): %s: %v", e.File.Name, e.File.ID, unmet, e.Err)
	default:
		return fmt.Sprintf("s3backend: %q (ID %.100q) is stored whole, but not as its options ask: %s", e.File.Name, e.File.ID, unmet)
	}
}

// Is matches [sluice.ErrOptionIgnored], or [sluice.ErrOptionUnverified] if the
// file could not be looked at.
func (e *OptionsError) Is(target error) bool {
	if e.Err != nil {
		return target == sluice.ErrOptionUnverified
	}
	return target == sluice.ErrOptionIgnored
}

// Unwrap returns Err.
func (e *OptionsError) Unwrap() error { return e.Err }

// promise is a header that asks for something, which is told in the answer to a look-up.
type promise struct {
	option   string // the field of FileOptions, or of sluice.FileSpec
	header   string // of the request, and of the answer
	question string // the subresource that tells it too, "" for none
	protects bool   // looked up after every upload
	missing  string // what it means if the answer lacks the header
	same     func(asked, told string) bool
}

func (p *promise) unusual() bool {
	return p.protects || p.option == "StorageClass" || p.option == "Tags"
}

var promises = []promise{
	{option: "Encryption", header: "X-Amz-Server-Side-Encryption", protects: true},
	{option: "Encryption", header: "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", protects: true, same: sameKey},
	{option: "Encryption", header: "X-Amz-Server-Side-Encryption-Customer-Algorithm", protects: true},
	{option: "Encryption", header: "X-Amz-Server-Side-Encryption-Customer-Key-Md5", protects: true, same: notTold},
	{option: "Retention", header: "X-Amz-Object-Lock-Mode", question: "retention", protects: true},
	{option: "Retention", header: "X-Amz-Object-Lock-Retain-Until-Date", question: "retention", protects: true, same: sameTime},
	{option: "LegalHold", header: "X-Amz-Object-Lock-Legal-Hold", question: "legal-hold", protects: true, missing: "OFF"},
	{option: "StorageClass", header: "X-Amz-Storage-Class", missing: "STANDARD"},
	{option: "Tags", header: "X-Amz-Tagging", question: "tagging"},
	{option: "CacheControl", header: "Cache-Control"},
	{option: "ContentDisposition", header: "Content-Disposition"},
	{option: "ContentEncoding", header: "Content-Encoding"},
	{option: "ContentLanguage", header: "Content-Language"},
	{option: "ContentType", header: "Content-Type"},
}

// metaPrefix begins the headers of metadata.
const metaPrefix = "X-Amz-Meta-"

// createOnly is the name of an option that no header of a file tells.
const createOnly = "CreateOnly"

func sameTime(asked, told string) bool {
	x, err1 := time.Parse(time.RFC3339, asked)
	y, err2 := time.Parse(time.RFC3339, told)
	return err1 == nil && err2 == nil && x.Equal(y.Truncate(time.Second))
}

func notTold(_, told string) bool { return told == "" }

// sameKey reports whether both may name one key: not every store tells it, an alias is told as the
// key that it stands for, and an ID may be told as the ARN that ends with it.
func sameKey(asked, told string) bool {
	ends := func(arn, id string) bool { return strings.HasSuffix(arn, "/"+id) || strings.HasSuffix(arn, ":"+id) }
	return told == "" || strings.Contains(asked, "alias/") || ends(asked, told) || ends(told, asked)
}

func verifiable(name string) bool {
	return name == createOnly || name == "Metadata" || slices.ContainsFunc(promises, func(p promise) bool { return p.option == name })
}

// unmet are the promises of a request that an answer does not show to be kept, of those that the
// options want to be verified.
func (o *FileOptions) unmet(asked, told http.Header) []promise {
	var list []promise
	for _, p := range promises {
		want := asked.Get(p.header)
		if want == "" || !p.protects && !o.Verify || slices.Contains(o.Unverified, p.option) {
			continue
		}
		got := p.toldBy(told)
		if got != want && (p.same == nil || !p.same(want, got)) {
			list = append(list, p)
		}
	}
	metadata := o.Verify && !slices.Contains(o.Unverified, "Metadata")
	for name := range asked {
		key, ok := strings.CutPrefix(name, metaPrefix)
		if ok && metadata && name != tagHeader && asked.Get(name) != told.Get(name) {
			list = append(list, promise{option: "Metadata " + strings.ToLower(key), header: name})
		}
	}
	return list
}

// toldBy is what an answer says of the promise.
func (p *promise) toldBy(told http.Header) string {
	if got := told.Get(p.header); got != "" {
		return got
	}
	return p.missing
}

func (b *Backend) optionsError(file sluice.File, list []promise, asked, told http.Header, err error) error {
	e := &OptionsError{File: file, Err: err}
	secrets := b.options.Encryption.secrets()
	for _, p := range list {
		got := p.toldBy(told)
		if got == "" {
			got = "none"
		}
		e.Unmet = append(e.Unmet, fmt.Sprintf("%s: asked for %.100s, the store has %.100s",
			p.option, asked.Get(p.header), httpx.Present(got, secrets...)))
	}
	slices.Sort(e.Unmet)
	return e
}

// verifyStart reports encryption that was asked for and that the answer to the start of a large
// file does not confirm (S3 API reference, CreateMultipartUpload: documented). The
// answer does not contain other options. MinIO confirms encryption in the answers to parts alone:
// an empty part is sent then, in whose place the first one comes.
func (f *largeFile) verifyStart(ctx context.Context, asked, told http.Header) error {
	unmet := func() []promise {
		list := f.backend.options.unmet(asked, told)
		return slices.DeleteFunc(list, func(p promise) bool { return p.option != "Encryption" })
	}
	if len(unmet()) == 0 {
		return nil
	}
	protection := f.backend.client.protection
	_, err := protection.try(protection.orNone(f.sent()), func(sum checksum) error {
		k := f.call("UploadPart", http.MethodPut, url.Values{"partNumber": {"1"}})
		if sum.name != "" {
			sum.set(k.header, sum.new().Sum(nil))
		}
		k.read = func(h http.Header, _ io.Reader) error { told = h; return nil }
		return f.backend.client.do(ctx, k)
	})
	if list := unmet(); len(list) > 0 {
		return f.backend.optionsError(sluice.File{}, list, asked, told, err)
	}
	return nil
}

// withoutEncryption returns the headers that remain to be verified once the answer
// to the start has confirmed the encryption.
func withoutEncryption(asked http.Header) http.Header {
	rest := asked.Clone()
	for _, p := range promises {
		if p.option == "Encryption" {
			rest.Del(p.header)
		}
	}
	return rest
}

// verify finds out whether a file that was just stored is what its options ask for. version and tag
// are what the store said of the file, and told is what its answers have shown of it. The rest is
// looked up, with s3:GetObject and, where the file has a lock, s3:GetObjectRetention and
// s3:GetObjectLegalHold.
func (b *Backend) verify(ctx context.Context, file sluice.File, version, tag string, asked, told http.Header) error {
	// The others are about the answer, and a proxy may set them.
	told = maps.Clone(told)
	maps.DeleteFunc(told, func(name string, _ []string) bool { return !strings.HasPrefix(name, "X-Amz-") })
	if len(b.options.unmet(asked, told)) == 0 {
		return nil
	}
	ctx, cancel := retry.Detached(ctx, retry.SettleTime)
	defer cancel()
	shown, err := b.headersOf(ctx, file.Name, object{version: id(version, ""), tag: tag, ownTag: asked.Get(tagHeader)})
	if shown == nil {
		shown = make(http.Header)
	}
	list := b.options.unmet(asked, shown)
	// An answer leaves out what the key may not see, and some stores tell it in
	// these answers alone.
	if err == nil && b.askAbout(ctx, file, list, shown, &err) {
		list = b.options.unmet(asked, shown)
	}
	if len(list) == 0 {
		return nil
	}
	return b.optionsError(file, list, asked, shown, err)
}

// headersOf asks for the headers of a file, and if another one, or none, has taken its place for
// those of its version.
func (b *Backend) headersOf(ctx context.Context, name string, file object) (http.Header, error) {
	versions := []string{""}
	if file.version != "" {
		versions = append(versions, file.version)
	}
	var failure error
	for _, version := range versions {
		var shown http.Header
		k := b.headCall(name, func(h http.Header) error { shown = h; return nil })
		k.query = versionQuery(version)
		err := b.client.do(ctx, k)
		if err == nil && file.isShown(shown) {
			dropEcho(shown)
			return shown, nil
		}
		if failure = notFound(err); err == nil {
			failure = fmt.Errorf("%w: another file has taken its place", fs.ErrNotExist)
		} else if !isMissing(err) {
			break
		}
	}
	return nil, failure
}

// dropEcho leaves out what a store may only repeat: gofakes3 keeps every X-Amz header of an upload,
// those that it does not know included, and shows them as the file's. No store tells the signed
// digest of a request otherwise.
func dropEcho(shown http.Header) {
	if shown.Get("X-Amz-Content-Sha256") == "" {
		return
	}
	for _, p := range promises {
		if strings.HasPrefix(p.header, "X-Amz-") {
			shown.Del(p.header)
		}
	}
}

// isShown reports whether headers are those of the file: by its version, else by
// its sluice-id, else by its ETag, for not every store tells all of them.
func (o *object) isShown(h http.Header) bool {
	version, own := id(h.Get("X-Amz-Version-Id"), ""), h.Get(tagHeader)
	switch {
	case o.version != "" && version != "":
		return o.version == version
	case o.ownTag != "" && own != "":
		return o.ownTag == own
	default:
		return sameTag(o.tag, strongTag(h.Get("Etag")))
	}
}

// askAbout asks for what is told by a request of its own, and puts it among the headers. It
// reports whether it has asked. A store that has none of it is no failure; failed is set to the
// first question that was not answered.
func (b *Backend) askAbout(ctx context.Context, file sluice.File, list []promise, shown http.Header, failed *error) (asked bool) {
	done := map[string]bool{"": true}
	for _, p := range list {
		if done[p.question] {
			continue
		}
		done[p.question] = true
		asked = true
		var answer propertyAnswer
		k := b.about(file.Name, http.MethodGet, "GetObject "+p.question)
		k.query = url.Values{p.question: {""}}
		if version := shown.Get("X-Amz-Version-Id"); version != "" {
			k.query.Set("versionId", version)
		}
		k.unknown = true
		k.read = func(h http.Header, body io.Reader) error {
			err := decoder(&answer)(h, body)
			if root := answer.XMLName.Local; err == nil && root != propertyRoots[p.question] {
				err = fmt.Errorf("it is a <%.40s>", root)
			}
			return err
		}
		if err := b.client.do(ctx, k); err == nil {
			answer.show(shown)
		} else if *failed == nil && !hasNone(err) {
			*failed = err
		}
	}
	return asked
}

// hasNone reports whether a failure is the answer of a store that has nothing of what was asked
// about, or does not know the question: some then answer with the file itself.
func hasNone(err error) bool {
	if e, ok := errors.AsType[*Error](err); ok {
		decided, _ := classify(err)
		return decided == final && slices.Contains([]int{400, 404, 405, 501}, e.Status)
	}
	return isUnusable(err)
}

// propertyRoots are the elements of the answers, by the questions.
var propertyRoots = map[string]string{"retention": "Retention", "legal-hold": "LegalHold", "tagging": "Tagging"}

// propertyAnswer is the answer to a question about retention, a legal hold or tags.
type propertyAnswer struct {
	XMLName         xml.Name
	Mode            string
	RetainUntilDate string
	Status          string
	Tags            []struct{ Key, Value string } `xml:"TagSet>Tag"`
}

// show puts the answer among the headers as the request has it.
func (a *propertyAnswer) show(h http.Header) {
	tags := make(url.Values)
	for _, t := range a.Tags {
		tags.Add(t.Key, t.Value)
	}
	for name, value := range map[string]string{
		"X-Amz-Object-Lock-Mode":              a.Mode,
		"X-Amz-Object-Lock-Retain-Until-Date": a.RetainUntilDate,
		"X-Amz-Object-Lock-Legal-Hold":        a.Status,
		"X-Amz-Tagging":                       tagging(tags),
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
}

// verifyNew fails if a file may only be created and there is one of its name, or if the store does
// not answer whether there is. Some stores ignore the condition: it is asked before the first byte
// is sent, and of a large file before the request that would replace the other one. Without
// the permission to list, AWS answers 403 for a name that is free: the condition decides then.
func (b *Backend) verifyNew(ctx context.Context, name string) error {
	if !b.options.CreateOnly || slices.Contains(b.options.Unverified, createOnly) {
		return nil
	}
	err := b.client.do(ctx, b.headCall(name, func(http.Header) error { return nil }))
	if err == nil {
		return fmt.Errorf("s3backend: %q is there already: %w", name, fs.ErrExist)
	}
	e, ok := errors.AsType[*Error](err)
	if ok && (e.Status == http.StatusNotFound || e.Status == http.StatusForbidden) {
		return nil
	}
	return fmt.Errorf("s3backend: CreateOnly of %q cannot be verified (FileOptions.Unverified lists what to take for granted): %w",
		name, err)
}
