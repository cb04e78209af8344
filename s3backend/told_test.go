package s3backend

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

// A question about a file that is not answered says nothing about the file.
func TestVerify_IsUnknownWhereAQuestionIsNotAnswered(t *testing.T) {
	options := map[string]FileOptions{
		"legal-hold": {LegalHold: HoldOn},
		"retention":  {Retention: Retention{Compliance, time.Now().Add(time.Hour)}},
		"tagging":    {Tags: map[string]string{"x": "y"}, Verify: true},
	}
	for _, c := range []struct {
		status  int // 0: the connection breaks
		answer  string
		unknown bool
	}{
		{0, "", true},
		{503, fmt.Sprintf(xmlError, "SlowDown"), true},
		{502, "", true},
		{403, fmt.Sprintf(xmlError, "AccessDenied"), true},
		{403, fmt.Sprintf(xmlError, "SignatureDoesNotMatch"), true},
		{400, fmt.Sprintf(xmlError, "ExpiredToken"), true},
		{400, fmt.Sprintf(xmlError, "InvalidRequest"), false},
		{404, fmt.Sprintf(xmlError, "NoSuchTagSet"), false},
		{501, fmt.Sprintf(xmlError, "NotImplemented"), false},
		{200, "the file itself", false},
	} {
		for question, o := range options {
			t.Run(fmt.Sprintf("%d %s %s", c.status, c.answer, question), func(t *testing.T) {
				l := &lender{}
				b := canned(t, Options{Retry: quick}, func(r *http.Request) (*http.Response, error) {
					switch {
					case !r.URL.Query().Has(question):
						return l.RoundTrip(r)
					case c.status == 0:
						return nil, errors.New("connection reset")
					default:
						return response(c.status, c.answer), nil
					}
				}).With(o)
				_, err := b.UploadFile(t.Context(), sluice.FileSpec{Name: "a", Size: 1}, part(0, []byte("x")))
				var unmet *OptionsError
				require.ErrorAs(t, err, &unmet)
				require.Equal(t, c.unknown, unmet.Err != nil, "%v", unmet.Err)
				require.Equal(t, !c.unknown, errors.Is(err, sluice.ErrOptionIgnored))
				require.Equal(t, c.unknown, errors.Is(err, sluice.ErrOptionUnverified))
			})
		}
	}
}

func TestVerify_ComparesKeysAndValuesOfTags(t *testing.T) {
	const tag = "<Tag><Key>%s</Key><Value>%s</Value></Tag>"
	asked := FileOptions{Tags: map[string]string{"a b": "c&d", "e": "f+g"}, Verify: true}
	for told, kept := range map[string]bool{
		fmt.Sprintf(tag+tag, "e", "f+g", "a b", "c&amp;d"):     true,
		fmt.Sprintf(tag+tag, "e", "f+g", "a b", "c"):           false,
		fmt.Sprintf(tag+tag, "e", "f+g", "a%20b", "c&amp;d"):   false,
		fmt.Sprintf(tag, "e", "f+g"):                           false,
		fmt.Sprintf(tag+tag+tag, "e", "", "e", "f+g", "x", ""): false,
	} {
		l := &lender{
			shows:   map[string]string{"X-Amz-Tagging-Count": "2", "Content-Type": "text/plain", "X-Amz-Meta-K_1": "v"},
			answers: map[string]string{"tagging": "<Tagging><TagSet>" + told + "</TagSet></Tagging>"},
		}
		for _, large := range []bool{false, true} {
			if err := l.store(t, asked, large); kept {
				require.NoError(t, err, told)
			} else {
				require.ErrorIs(t, err, sluice.ErrOptionIgnored, told)
				require.ErrorContains(t, err, "Tags: asked for a%20b=c%26d&e=f%2Bg, the store has ")
			}
		}
	}
}

// A store that encrypts with another key than it is asked to has not done it.
func TestVerify_ComparesTheKeyOfEncryption(t *testing.T) {
	const arn = "arn:aws:kms:us-east-1:111122223333:key/k1"
	for _, c := range []struct {
		asked, told string
		kept        bool
	}{
		{"k1", "", true},
		{"k1", "k1", true},
		{"k1", arn, true},
		{"k1", "arn:aws:kms:k1", true},
		{arn, "k1", true},
		{"alias/k", arn, true},
		{"arn:aws:kms:us-east-1:111122223333:alias/k", arn, true},
		{"", arn, true},
		{"mine", arn, false},
		{"1", arn, false},
		{"mine", "default", false},
	} {
		for _, large := range []bool{false, true} {
			shown := map[string]string{
				"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": c.told,
			}
			l := &lender{shows: shown, inParts: shown}
			err := l.store(t, FileOptions{Encryption: EncryptKMS(c.asked)}, large)
			if c.kept {
				require.NoError(t, err, c)
				continue
			}
			require.ErrorIs(t, err, sluice.ErrOptionIgnored, c)
			require.ErrorContains(t, err, "Encryption: asked for "+c.asked+", the store has "+c.told)
			if large {
				require.Zero(t, l.bytes)
			}
		}
	}
}

// The file is stored in every case: nothing of it is kept unfinished or cancelled.
func TestWriter_SaysThatAFileWhoseOptionsAreNotMetIsStored(t *testing.T) {
	for _, denied := range []bool{false, true} {
		for _, keep := range []bool{false, true} {
			for _, n := range []int{1, 3 * minPart} {
				store := newModel()
				looks := 0
				b := canned(t, Options{Retry: quick}, func(r *http.Request) (*http.Response, error) {
					if callOf(r) == "HeadObject" && denied {
						looks++
						return response(http.StatusForbidden, ""), nil
					}
					require.NotEqual(t, "AbortMultipartUpload", callOf(r))
					return store.RoundTrip(r)
				}).With(FileOptions{LegalHold: HoldOn})
				_, err := sluice.Upload(t.Context(), b, "a", &sluice.Options{KeepOnFailure: keep, PartSize: minPart}, func(w io.Writer) error {
					_, err := w.Write(make([]byte, n))
					return err
				})
				var unmet *OptionsError
				require.ErrorAs(t, err, &unmet)
				require.Equal(t, denied, errors.Is(err, sluice.ErrOptionUnverified))
				require.Equal(t, denied, looks > 0)
				require.ErrorContains(t, err, "stored whole, but")
				require.NotContains(t, err.Error(), "unfinished")
				failure, ok := errors.AsType[*sluice.Error](err)
				require.True(t, ok)
				require.Empty(t, failure.LargeFile)
				require.Len(t, store.object("a").data, n)
			}
		}
	}
}

func TestVerify_ComparesTheCustomersKey(t *testing.T) {
	customer, err := EncryptCustomer([]byte(canaryKey))
	require.NoError(t, err)
	const prefix = "X-Amz-Server-Side-Encryption-Customer-"
	asked := make(http.Header)
	customer.setCustomer(asked)
	own := asked.Get(prefix + "Key-Md5")
	for _, told := range []string{"", own, "another"} {
		for _, large := range []bool{false, true} {
			shown := map[string]string{prefix + "Algorithm": "AES256", prefix + "Key-Md5": told}
			l := &lender{shows: shown, inParts: shown}
			err := l.store(t, FileOptions{Encryption: customer}, large)
			if told != "another" {
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, sluice.ErrOptionIgnored)
			require.ErrorContains(t, err, "Encryption: asked for "+own+", the store has another")
			require.NotContains(t, err.Error(), asked.Get(prefix+"Key"))
			if large {
				require.Zero(t, l.bytes)
			}
		}
	}
}

// What a store tells of a file may be any text, and of any length.
func TestOptionsError_IsPrintableAndBounded(t *testing.T) {
	ugly := "\x1b[2J\u009b\u202e\u2028" + strings.Repeat("x", 30<<10)
	customer, err := EncryptCustomer([]byte(canaryKey))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		options FileOptions
		shows   map[string]string
		tells   map[string]string
	}{
		"Encryption":        {FileOptions{Encryption: EncryptS3()}, map[string]string{"X-Amz-Server-Side-Encryption": ugly}, nil},
		"the key":           {FileOptions{Encryption: customer}, map[string]string{"X-Amz-Server-Side-Encryption-Customer-Algorithm": ugly}, nil},
		"Retention":         {FileOptions{Retention: Retention{Compliance, time.Unix(1<<31, 0)}}, map[string]string{"X-Amz-Object-Lock-Mode": ugly}, nil},
		"LegalHold":         {FileOptions{LegalHold: HoldOn}, map[string]string{"X-Amz-Object-Lock-Legal-Hold": ugly}, nil},
		"LegalHold, asked":  {FileOptions{LegalHold: HoldOn}, nil, map[string]string{"legal-hold": "<LegalHold><Status>&#x202e;&#x2028;&#x9b;" + strings.Repeat("x", 3000) + "</Status></LegalHold>"}},
		"StorageClass":      {FileOptions{Verify: true, StorageClass: "COLD"}, map[string]string{"X-Amz-Storage-Class": ugly}, nil},
		"CacheControl":      {FileOptions{Verify: true, CacheControl: strings.Repeat("y", 2<<10)}, map[string]string{"Cache-Control": ugly}, nil},
		"Metadata, version": {FileOptions{Verify: true}, map[string]string{"X-Amz-Meta-K_1": ugly}, nil},
	} {
		for _, large := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, large %v", name, large), func(t *testing.T) {
				l := &lender{shows: c.shows, inParts: c.shows, answers: c.tells, version: ugly}
				err := l.store(t, c.options, large)
				require.ErrorIs(t, err, sluice.ErrOptionIgnored)
				require.Less(t, len(err.Error()), 2000)
				require.False(t, strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsGraphic(r) }), "%q", err)
			})
		}
	}
}

// The headers of the answer to an upload that every answer has are about the answer, or a proxy's.
func TestVerify_TakesOnlyTheStoresOwnHeadersOfAnUploadForProof(t *testing.T) {
	options := FileOptions{Verify: true, CacheControl: "no-store", ContentLanguage: "de", Unverified: []string{"Metadata"}}
	l := &lender{}
	b := canned(t, Options{Retry: quick}, func(r *http.Request) (*http.Response, error) {
		resp, err := l.RoundTrip(r)
		if callOf(r) == "PutObject" {
			for _, name := range []string{"Cache-Control", "Content-Language", "Content-Type", "X-Amz-Storage-Class"} {
				resp.Header.Set(name, r.Header.Get(name))
			}
		}
		return resp, err
	})
	spec := sluice.FileSpec{Name: "a", Size: 1, ContentType: "text/plain"}
	_, err := b.With(options).UploadFile(t.Context(), spec, part(0, []byte("x")))
	var unmet *OptionsError
	require.ErrorAs(t, err, &unmet)
	require.Equal(t, []string{
		"CacheControl: asked for no-store, the store has none", "ContentLanguage: asked for de, the store has none",
		"ContentType: asked for text/plain, the store has none",
	}, unmet.Unmet)

	l.calls, spec.ContentType = nil, ""
	_, err = b.With(FileOptions{Verify: true, StorageClass: "COLD"}).UploadFile(t.Context(), spec, part(0, []byte("x")))
	require.NoError(t, err)
	require.Equal(t, []string{"PutObject"}, l.calls, "the store says so itself")
}

// A store that keeps all headers of an upload has done nothing about them.
func TestVerify_TakesNoRepeatedRequestForProof(t *testing.T) {
	until := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	shown := map[string]string{
		"X-Amz-Object-Lock-Mode": "COMPLIANCE", "X-Amz-Object-Lock-Retain-Until-Date": "2030-01-02T03:04:05Z",
		"X-Amz-Object-Lock-Legal-Hold": "ON", "X-Amz-Server-Side-Encryption": "AES256", "X-Amz-Storage-Class": "COLD",
		"X-Amz-Tagging": "x=y", "X-Amz-Meta-K_1": "v", "Content-Type": "text/plain",
	}
	for name, o := range map[string]FileOptions{
		"retention": {Retention: Retention{Compliance, until}}, "hold": {LegalHold: HoldOn},
		"storage class": {Verify: true, StorageClass: "COLD"}, "tags": {Verify: true, Tags: map[string]string{"x": "y"}},
		"encryption": {Encryption: EncryptS3()}, "metadata": {Verify: true},
	} {
		for _, repeats := range []bool{false, true} {
			for _, large := range []bool{false, true} {
				l := &lender{shows: maps.Clone(shown)}
				if repeats {
					l.shows["X-Amz-Content-Sha256"] = "x"
				}
				if err := l.store(t, o, large); repeats && name != "metadata" || large && name == "encryption" {
					require.ErrorIs(t, err, sluice.ErrOptionIgnored, name)
				} else {
					require.NoError(t, err, name)
				}
			}
		}
	}
}
