package s3backend

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/engines"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// awsEnvironment is an AWS environment with nothing in it, but for a folder of files.
func awsEnvironment(t *testing.T, config, keys string) {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			require.NoError(t, os.Unsetenv(name))
		}
	}
	folder := t.TempDir()
	for variable, text := range map[string]string{"AWS_CONFIG_FILE": config, "AWS_SHARED_CREDENTIALS_FILE": keys} {
		path := filepath.Join(folder, variable)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		t.Setenv(variable, path)
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func TestEverythingFromTheEnvironment(t *testing.T) {
	awsEnvironment(t, "", "")
	t.Setenv("AWS_ACCESS_KEY_ID", engines.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", engines.SecretKey)
	t.Setenv("AWS_REGION", engines.Region)
	t.Setenv("AWS_ENDPOINT_URL_S3", server.URL)
	b, err := New(t.Context(), newBucket(t), nil)
	require.NoError(t, err)
	_, err = stream(t.Context(), b, "a", []byte("x"))
	require.NoError(t, err)
}

func TestEverythingFromAProfile(t *testing.T) {
	awsEnvironment(t,
		"[profile backup]\nregion = "+engines.Region+"\nendpoint_url = "+server.URL+"\n",
		"[backup]\naws_access_key_id = "+engines.AccessKey+"\naws_secret_access_key = "+engines.SecretKey+"\n")
	t.Setenv("AWS_PROFILE", "backup")
	b, err := New(t.Context(), newBucket(t), nil)
	require.NoError(t, err)
	_, err = stream(t.Context(), b, "a", []byte("x"))
	require.NoError(t, err)
}

// Where the bucket is, for endpoints of all kinds.
func TestPlaces(t *testing.T) {
	awsEnvironment(t, "", "")
	for _, c := range []struct {
		bucket  string
		options Options
		want    string
	}{
		{"data", Options{Region: "eu-central-1"}, "https://data.s3.eu-central-1.amazonaws.com/a%20b"},
		{"data", Options{Region: "cn-north-1"}, "https://data.s3.cn-north-1.amazonaws.com.cn/a%20b"},
		{"data", Options{Region: "eu-central-1", PathStyle: true}, "https://s3.eu-central-1.amazonaws.com/data/a%20b"},
		{"my.data", Options{Region: "eu-central-1"}, "https://s3.eu-central-1.amazonaws.com/my.data/a%20b"},
		{"My_data", Options{Region: "eu-central-1"}, "https://s3.eu-central-1.amazonaws.com/My_data/a%20b"},
		{"data", Options{Endpoint: "https://store.example:9000/"}, "https://data.store.example:9000/a%20b"},
		{"data", Options{Endpoint: "https://store.example/s3", PathStyle: true}, "https://store.example/s3/data/a%20b"},
		{"data", Options{Endpoint: "https://192.0.2.1:9000"}, "https://192.0.2.1:9000/data/a%20b"},
		{"data", Options{Endpoint: "http://localhost:9000"}, "http://localhost:9000/data/a%20b"},
		{"data", Options{Endpoint: "http://store.example", AllowPlainHTTP: true}, "http://data.store.example/a%20b"},
	} {
		t.Run(c.want, func(t *testing.T) {
			b, err := New(t.Context(), c.bucket, &c.options)
			require.NoError(t, err)
			keys, err := credentials.NewStaticCredentialsProvider("id", "key", "").Retrieve(t.Context())
			require.NoError(t, err)
			req, err := b.client.request(t.Context(), &call{method: http.MethodGet, key: "a b"}, keys)
			require.NoError(t, err)
			require.Equal(t, c.want, req.URL.String())
			region := c.options.Region
			if region == "" {
				region = "us-east-1"
			}
			require.Contains(t, req.Header.Get("Authorization"), "/"+region+"/s3/aws4_request")
			require.Equal(t, "s3://"+c.bucket, b.String())
		})
	}
}

func TestEqualParts_AreSetForR2(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"https://0123abcd.r2.cloudflarestorage.com":    true,
		"https://0123abcd.eu.R2.cloudflarestorage.com": true,
		"https://r2.cloudflarestorage.com.example":     false,
		"https://s3.eu-central-1.amazonaws.com":        false,
	} {
		b := newBackend(t, endpoint, "data", nil)
		require.Equal(t, want, b.Limits().EqualParts, endpoint)
		require.True(t, newBackend(t, endpoint, "data", &Options{EqualParts: true}).Limits().EqualParts)
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	awsEnvironment(t, "", "")
	for want, c := range map[string]struct {
		bucket  string
		options *Options
	}{
		"no region":                              {"data", nil},
		`bucket name "" is invalid`:              {"", &Options{Region: "r"}},
		`"a/b" is invalid: it must not be empty`: {"a/b", &Options{Region: "r"}},
		"Options.MaxParts -1 is negative":        {"data", &Options{Region: "r", MaxParts: -1}},
		"Options.MaxFile -1 is negative":         {"data", &Options{Region: "r", MaxFile: -1}},
		"Attempts -1 is negative":                {"data", &Options{Region: "r", Retry: sluice.Retry{Attempts: -1}}},
		"plain http would show the credentials":  {"data", &Options{Endpoint: "http://store.example"}},
		"carries a user":                         {"data", &Options{Endpoint: "https://u:p@store.example"}},
		"neither https nor http":                 {"data", &Options{Endpoint: "ftp://store.example"}},
		"has a query or a fragment":              {"data", &Options{Endpoint: "https://store.example/?a=b"}},
		`Options.Checksum "crc64" is unknown`:    {"data", &Options{Endpoint: "http://127.0.0.1:1", Checksum: "crc64"}},
	} {
		t.Run(want, func(t *testing.T) {
			_, err := New(t.Context(), c.bucket, c.options)
			require.ErrorContains(t, err, want)
		})
	}
}

func TestBadFilesAreRefused(t *testing.T) {
	b := newBackend(t, server.URL, "data", nil)
	until := time.Now().Add(time.Hour)
	many := map[string]string{}
	for i := range 11 {
		many[fmt.Sprint(i)] = ""
	}
	for want, c := range map[string]struct {
		spec    sluice.FileSpec
		options FileOptions
	}{
		"name is empty":                  {spec: sluice.FileSpec{Name: ""}},
		"over the limit of 1024 bytes":   {spec: sluice.FileSpec{Name: strings.Repeat("a", 1025)}},
		"is not UTF-8":                   {spec: sluice.FileSpec{Name: "a\xff"}},
		"has a control character":        {spec: sluice.FileSpec{Name: "a\nb"}},
		`has the segment ".."`:           {spec: sluice.FileSpec{Name: "a/../b"}},
		`has the segment "."`:            {spec: sluice.FileSpec{Name: "./b"}},
		"size -2 is negative":            {spec: sluice.FileSpec{Name: "a", Size: -2}},
		"stream too large":               {spec: sluice.FileSpec{Name: "a", Size: 5<<40 + 1}},
		"content type":                   {spec: sluice.FileSpec{Name: "a", ContentType: "text/ö"}},
		`info key "a b"`:                 {spec: sluice.FileSpec{Name: "a", Metadata: map[string]string{"a b": "c"}}},
		"given twice":                    {spec: sluice.FileSpec{Name: "a", Metadata: map[string]string{"a": "b", "A": "c"}}},
		"not plain ASCII without spaces": {spec: sluice.FileSpec{Name: "a", Metadata: map[string]string{"a": "ö"}}},
		"over the limit of 2048 bytes":   {spec: sluice.FileSpec{Name: "a", Metadata: map[string]string{"a": strings.Repeat("b", 2048)}}},
		"neither governance nor":         {options: FileOptions{Retention: Retention{Mode: "x", Until: until}}},
		"Retention.Until is not set":     {options: FileOptions{Retention: Retention{Mode: Governance}}},
		"Retention.Mode is empty":        {options: FileOptions{Retention: Retention{Until: until}}},
		"neither on nor off":             {options: FileOptions{LegalHold: "maybe"}},
		"in Unverified is":               {options: FileOptions{Unverified: []string{"Retenion"}}},
		"11 tags":                        {options: FileOptions{Tags: many}},
		"has 0 characters":               {options: FileOptions{Tags: map[string]string{"": "a"}}},
		"has 257 characters":             {options: FileOptions{Tags: map[string]string{"a": strings.Repeat("b", 257)}}},
		"CacheControl":                   {options: FileOptions{CacheControl: "a\r\nb: c"}},
	} {
		t.Run(want, func(t *testing.T) {
			if c.spec.Name == "" && want != "name is empty" {
				c.spec.Name = "a"
			}
			require.ErrorContains(t, b.With(c.options).Check(c.spec), want)
		})
	}
	_, err := EncryptCustomer(make([]byte, 31))
	require.ErrorContains(t, err, "customer key of 31 bytes")
}

// Each option's headers, on the calls that the API reference names for them, and on no other.
func TestFileOptionsGoWithTheRightCalls(t *testing.T) {
	const begin, finish, all = "CreateMultipartUpload PutObject", "CompleteMultipartUpload PutObject",
		"CreateMultipartUpload PutObject UploadPart CompleteMultipartUpload"
	customer, err := EncryptCustomer([]byte("0123456789abcdef0123456789abcdef"))
	require.NoError(t, err)
	until := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	unverified := []string{"Retention", "LegalHold", createOnly}
	for _, c := range []struct {
		options       FileOptions
		header, value string
		calls         string
	}{
		{FileOptions{CacheControl: "no-store"}, "Cache-Control", "no-store", begin},
		{FileOptions{ContentDisposition: "inline"}, "Content-Disposition", "inline", begin},
		{FileOptions{ContentEncoding: "zstd"}, "Content-Encoding", "zstd", begin},
		{FileOptions{ContentLanguage: "de"}, "Content-Language", "de", begin},
		{FileOptions{StorageClass: "STANDARD_IA"}, "X-Amz-Storage-Class", "STANDARD_IA", begin},
		{FileOptions{Tags: map[string]string{"a b": "c&d"}}, "X-Amz-Tagging", "a%20b=c%26d", begin},
		{FileOptions{Retention: Retention{Compliance, until}}, "X-Amz-Object-Lock-Mode", "COMPLIANCE", begin},
		{FileOptions{Retention: Retention{Compliance, until}}, "X-Amz-Object-Lock-Retain-Until-Date", "2030-01-02T03:04:05Z", begin},
		{FileOptions{LegalHold: HoldOn}, "X-Amz-Object-Lock-Legal-Hold", "ON", begin},
		{FileOptions{Encryption: EncryptS3()}, "X-Amz-Server-Side-Encryption", "AES256", begin},
		{FileOptions{Encryption: EncryptKMS("alias/k")}, "X-Amz-Server-Side-Encryption", "aws:kms", begin},
		{FileOptions{Encryption: EncryptKMS("alias/k")}, "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "alias/k", begin},
		{FileOptions{Encryption: customer}, "X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256", all},
		{FileOptions{Encryption: customer}, "X-Amz-Server-Side-Encryption-Customer-Key", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", all},
		{FileOptions{Encryption: customer}, "X-Amz-Server-Side-Encryption-Customer-Key-Md5", customerMD5, all},
		{FileOptions{CreateOnly: true}, "If-None-Match", "*", finish},
	} {
		t.Run(c.header, func(t *testing.T) {
			p := newProxy(t, false, answers())
			c.options.Unverified = unverified
			b := newBackend(t, p.URL, "data", nil).With(c.options)
			for _, size := range []int{1, minPart + 1} {
				_, err := stream(t.Context(), b, "a", testutil.Content(size))
				require.NoError(t, err)
			}
			for call := range strings.SplitSeq(all, " ") {
				want := ""
				if strings.Contains(c.calls, call) {
					want = c.value
				}
				r := p.last(t, call)
				require.Equal(t, want, r.Header.Get(c.header), call)
				if want != "" {
					require.Contains(t, r.Header.Get("Authorization"), strings.ToLower(c.header), "it is signed")
				}
			}
		})
	}
}

const customerMD5 = "hRasmdxgYDKV3nvbahU1MA=="

// echoEncryption confirms what a request asks for, as stores do that encrypt.
func echoEncryption(answer, asked http.Header) {
	for _, name := range []string{"X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Customer-Algorithm"} {
		if value := asked.Get(name); value != "" {
			answer.Set(name, value)
		}
	}
}

// answers is a strike in place of a server that takes everything.
func answers() *fault {
	return &fault{strike: func(_ *testing.T, w http.ResponseWriter, r *http.Request, _ http.Handler) {
		call := callOf(r)
		buffer := new(strings.Builder)
		switch call {
		case "CreateMultipartUpload":
			fmt.Fprint(buffer, `<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>`)
		case "CompleteMultipartUpload":
			fmt.Fprint(buffer, `<CompleteMultipartUploadResult><ETag>"t-2"</ETag></CompleteMultipartUploadResult>`)
		}
		w.Header().Set("Etag", `"t"`)
		echoEncryption(w.Header(), r.Header)
		drain(r)
		fmt.Fprint(w, buffer)
	}}
}

// Options that the server of the tests keeps come back.
func TestFileOptionsAreKept(t *testing.T) {
	bucket := newBucket(t)
	plain := newBackend(t, server.URL, bucket, nil)
	b := plain.With(FileOptions{
		CacheControl: "max-age=60", ContentDisposition: `attachment; filename="x"`, ContentEncoding: "zstd", ContentLanguage: "en",
		Tags: map[string]string{"team": "db", "kind": "nightly backup"},
	})
	for _, size := range []int{10, minPart + 1} {
		_, err := stream(t.Context(), b, "a", testutil.Content(size))
		require.NoError(t, err)
		_, header := contents(t, b, "a")
		require.Equal(t, "max-age=60", header.Get("Cache-Control"))
		require.Equal(t, `attachment; filename="x"`, header.Get("Content-Disposition"))
		require.Equal(t, "zstd", header.Get("Content-Encoding"))
		require.Equal(t, "en", header.Get("Content-Language"))
		require.Equal(t, "2", header.Get("X-Amz-Tagging-Count"))
	}
}

// A bucket with Object Lock takes parts with their digest in a header, and keeps the retention.
func TestObjectLock(t *testing.T) {
	bucket := newBucket(t) + "-locked"
	b := newBackend(t, server.URL, bucket, nil)
	require.NoError(t, b.client.do(t.Context(), &call{
		name: "CreateBucket", method: http.MethodPut, header: http.Header{"X-Amz-Bucket-Object-Lock-Enabled": {"true"}},
		read: func(http.Header, io.Reader) error { return nil },
	}))
	until := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	locked := b.With(FileOptions{Retention: Retention{Governance, until}, LegalHold: HoldOn})
	for _, size := range []int{10, minPart + 1} {
		name := fmt.Sprint(size)
		_, err := stream(t.Context(), locked, name, testutil.Content(size))
		require.NoError(t, err)
		var header http.Header
		// this server tells of locks in HeadObject only
		require.NoError(t, b.client.do(t.Context(), &call{
			name: "HeadObject", method: http.MethodHead, key: name,
			read: func(h http.Header, _ io.Reader) error { header = h; return nil },
		}))
		require.Equal(t, "GOVERNANCE", header.Get("X-Amz-Object-Lock-Mode"))
		require.Equal(t, until.Format(time.RFC3339), header.Get("X-Amz-Object-Lock-Retain-Until-Date"))
		require.Equal(t, "ON", header.Get("X-Amz-Object-Lock-Legal-Hold"))
	}
}

// How far the memory carries: the table of docs/S3.md.
func TestReach(t *testing.T) {
	for _, c := range []struct {
		memory, part int64 // MiB
		gigabytes    map[int]float64
	}{
		{128, 8, map[int]float64{10_000: 604, 1000: 60}},
		{256, 16, map[int]float64{10_000: 1208, 1000: 121}},
		{512, 32, map[int]float64{10_000: 2416, 1000: 242}},
		{1024, 64, map[int]float64{10_000: 4832, 1000: 483}},
		{2048, 128, map[int]float64{10_000: 9664, 1000: 966}},
	} {
		for parts, gigabytes := range c.gigabytes {
			b := newBackend(t, server.URL, "data", &Options{MaxParts: parts, MaxFile: 48 << 40})
			w, err := sluice.New(t.Context(), b, "a", &sluice.Options{MemoryLimit: c.memory << 20})
			require.NoError(t, err)
			s := w.Settings()
			require.Equal(t, c.part<<20, s.PartSize)
			require.Equal(t, 16, s.Concurrency)
			require.InDelta(t, gigabytes, float64(s.MaxStreamSize)/1e9, 0.5)
		}
	}
}
