package b2test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/c1508ce4/sluice/internal/localserver"
)

// call is one call of the API.
type call struct {
	host       host   // where it is served
	capability string // what the key must have, "" when run looks itself
	// on the API's host with the lock held; nil is not implemented
	run func(*exchange) (any, error)
}

// callTable lists every call by name.
func callTable() map[string]call {
	return map[string]call{
		"b2_authorize_account":           {authorizeHost, "", (*exchange).authorizeAccount},
		"b2_list_buckets":                {apiHost, "listBuckets", (*exchange).listBuckets},
		"b2_create_bucket":               {apiHost, "writeBuckets", (*exchange).createBucket},
		"b2_update_bucket":               {apiHost, "writeBuckets", (*exchange).updateBucket},
		"b2_delete_bucket":               {apiHost, "deleteBuckets", (*exchange).deleteBucket},
		"b2_create_key":                  {apiHost, "writeKeys", (*exchange).createKey},
		"b2_list_keys":                   {apiHost, "listKeys", (*exchange).listKeys},
		"b2_delete_key":                  {apiHost, "deleteKeys", (*exchange).deleteKey},
		"b2_get_upload_url":              {apiHost, "writeFiles", (*exchange).getUploadURL},
		"b2_upload_file":                 {uploadHost, "", (*exchange).uploadFile},
		"b2_start_large_file":            {apiHost, "writeFiles", (*exchange).startLargeFile},
		"b2_get_upload_part_url":         {apiHost, "writeFiles", (*exchange).getUploadPartURL},
		"b2_upload_part":                 {uploadHost, "", (*exchange).uploadPart},
		"b2_copy_part":                   {apiHost, "writeFiles", (*exchange).copyPart},
		"b2_copy_file":                   {apiHost, "writeFiles", (*exchange).copyFile},
		"b2_finish_large_file":           {apiHost, "writeFiles", (*exchange).finishLargeFile},
		"b2_cancel_large_file":           {apiHost, "writeFiles", (*exchange).cancelLargeFile},
		"b2_list_parts":                  {apiHost, "writeFiles", (*exchange).listParts},
		"b2_list_unfinished_large_files": {apiHost, "listFiles", (*exchange).listUnfinished},
		"b2_get_file_info":               {apiHost, "readFiles", (*exchange).getFileInfo},
		"b2_list_file_names":             {apiHost, "listFiles", (*exchange).listFileNames},
		"b2_list_file_versions":          {apiHost, "listFiles", (*exchange).listFileVersions},
		"b2_delete_file_version":         {apiHost, "deleteFiles", (*exchange).deleteFileVersion},
		"b2_hide_file":                   {apiHost, "writeFiles", (*exchange).hideFile},
		"b2_update_file_retention":       {apiHost, "writeFileRetentions", (*exchange).updateRetention},
		"b2_update_file_legal_hold":      {apiHost, "writeFileLegalHolds", (*exchange).updateLegalHold},
		"b2_get_download_authorization":  {apiHost, "shareFiles", (*exchange).getDownloadAuthorization},
		"b2_download_file_by_id":         {downloadHost, "", (*exchange).downloadByID},
		downloadByNameCall:               {downloadHost, "", (*exchange).downloadByName},

		"b2_get_bucket_notification_rules": {apiHost, "", nil},
		"b2_set_bucket_notification_rules": {apiHost, "", nil},
	}
}

// downloadByNameCall is how the log and faults name a download by name, whose
// URL names no call.
const downloadByNameCall = "b2_download_file_by_name"

// exchange is one request and its answer.
type exchange struct {
	s       *Server
	w       http.ResponseWriter
	r       *http.Request
	host    host
	version int    // of the API, from the path
	path    string // escaped path behind the call's name
	call    call
	args    *args   // of a JSON or query call, nil for uploads
	token   *token  // that authorized it, nil before that
	claimed bool    // token is an upload token held by this exchange
	fault   Fault   // what is done to it; Kind is none when nothing is
	large   *file   // the large file that a finish is about
	wasOpen bool    // its finish was unresolved before this one
	listed  []*file // that the answer shows, which settles their finishes
	late    string  // what is wrong with it if its client is still there
	due     time.Time
	log     Request
}

// handler serves one of the listeners.
func (s *Server) handler(h host) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{s: s, w: w, r: r, host: h}
		x.log = Request{Host: h.String(), Method: r.Method, Path: r.URL.Path, Time: s.Now(), Bytes: max(0, r.ContentLength)}
		answer, err := x.serve()
		x.complain(err)
		x.reply(answer, err)
	})
}

// serve works the request out. An [apiError] is to be answered, any other error
// drops the connection.
func (x *exchange) serve() (any, error) {
	if err := x.route(); err != nil {
		return nil, err
	}
	if err := x.arrive(); err != nil {
		return nil, err
	}
	if !x.s.sleep(x.r.Context(), x.s.opts.Latency) {
		return nil, localserver.ErrGone
	}
	if err := x.fire(); err != nil {
		return nil, err
	}
	if err := x.testMode(); err != nil {
		return nil, err
	}
	if x.call.run == nil { // whatever the key may do
		return nil, errNotImplemented(x.log.Call)
	}
	switch x.call.host {
	case uploadHost:
		if err := x.checkUploadToken(); err != nil {
			return nil, err
		}
		return x.call.run(x)
	case apiHost:
		if err := x.authorize(); err != nil {
			return nil, err
		}
	}
	if err := x.hold(); err != nil {
		return nil, err
	}
	if x.call.host == apiHost {
		x.s.mu.Lock()
		defer x.s.mu.Unlock()
	}
	return x.call.run(x)
}

// arrive reads what says what the request is about, before anything happens to
// it: an upload's URL, a call's fields.
func (x *exchange) arrive() error {
	if x.call.host == uploadHost {
		return x.claim()
	}
	if x.log.Call == "b2_authorize_account" || x.log.Call == downloadByNameCall {
		return nil
	}
	var err error
	if x.args, err = readArgs(x.r); err != nil {
		return err
	}
	x.log.FileID, x.log.Name = x.args.peek("fileId"), x.args.peek("fileName")
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	x.observe()
	return nil
}

// route finds the call that the path names.
func (x *exchange) route() error {
	path := x.r.URL.EscapedPath()
	name := downloadByNameCall
	x.version = 4
	if rest, ok := strings.CutPrefix(path, "/file/"); ok {
		x.path = rest
	} else {
		rest, ok := strings.CutPrefix(path, "/b2api/v")
		version, rest, slash := strings.Cut(rest, "/")
		v, err := strconv.Atoi(version)
		if !ok || !slash || err != nil || v < 1 || v > 4 {
			return errNotFound("path")
		}
		x.version = v
		name, x.path, _ = strings.Cut(rest, "/")
	}
	var known bool
	if x.call, known = x.s.calls[name]; !known {
		return errNotFound("call")
	}
	x.log.Call, x.log.Version = name, x.version
	if x.path != "" && x.call.host != uploadHost && name != downloadByNameCall {
		return errNotFound("call")
	}
	if !x.served(name) {
		x.wrongHost()
		return errWrongHost()
	}
	if !x.allowed(name) {
		return errMethod(x.r.Method, name)
	}
	if number := x.r.Header.Get("X-Bz-Part-Number"); number != "" {
		x.log.Part, _ = strconv.Atoi(number) // checked where it matters
	}
	return nil
}

// served reports whether the host that was asked serves the call. The API's
// host also authorizes, and serves downloads by name (reported: clients that
// are in use ask it for them).
func (x *exchange) served(name string) bool {
	return x.call.host == x.host ||
		x.host == apiHost && (x.call.host == authorizeHost || name == downloadByNameCall)
}

// allowed reports whether the call takes the method. All calls but uploads may
// be GET requests with the fields in the query (documented).
func (x *exchange) allowed(name string) bool {
	switch x.r.Method {
	case http.MethodGet:
		return x.call.host != uploadHost
	case http.MethodPost:
		return name != downloadByNameCall
	case http.MethodHead:
		return x.call.host == downloadHost
	}
	return false
}

// reply sends the answer, or drops the connection. What the log and the upload
// URL's life depend on is done before the client can see the first byte.
func (x *exchange) reply(answer any, err error) {
	lost := err == nil && x.fault.Kind == LoseAnswer
	if lost {
		err = localserver.Lost(x.fault.Status, x.fault.refusal())
	}
	var refusal *apiError
	if err != nil && !errors.As(err, &refusal) || x.r.Context().Err() != nil {
		x.end(0, "", false)
		panic(http.ErrAbortHandler)
	}
	if refusal != nil {
		x.end(refusal.status, refusal.code, !lost)
		x.sendError(refusal)
		return
	}
	if d, ok := answer.(*download); ok {
		x.end(d.status, "", true)
		x.sendDownload(d)
		return
	}
	body := x.spoil(answer)
	x.end(http.StatusOK, "", !localserver.Spoils(string(x.fault.Kind)))
	x.common("application/json;charset=UTF-8", len(body))
	x.w.WriteHeader(http.StatusOK)
	if x.fault.Kind == Truncate {
		localserver.Cut(x.w, []byte(body))
	}
	_, _ = x.w.Write([]byte(body))
}

// end closes the books on the exchange: the upload token is free again, or
// dead; the log has its entry; what [Server.Check] wants to know is noted.
// Status 0 is a dropped connection; delivered says that the client learns the
// true outcome.
func (x *exchange) end(status int, code string, delivered bool) {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	if x.claimed {
		x.token.busy = false
		if status >= 500 || status == 408 || status == 401 || status == 400 && !x.s.opts.Uncertain.URLSurvives400 {
			x.token.dead = true
		}
	}
	x.log.Status, x.log.Code, x.log.Fault = status, code, x.fault.Kind
	x.s.record(x.log)
	x.settle(status, delivered)
}

// common sets the headers of every answer but downloads (recorded).
func (x *exchange) common(contentType string, length int) {
	h := x.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "max-age=0, no-cache, no-store")
	h.Set("Content-Length", strconv.Itoa(length))
	h.Set("Date", x.s.Now().UTC().Format(http.TimeFormat))
}

// sendError answers a refusal. Its body ends without a newline, its charset is
// in lower case, and 400 closes the connection (recorded).
func (x *exchange) sendError(e *apiError) {
	body := render(object{"code": e.code, "message": e.message, "status": e.status})
	contentType := "application/json;charset=utf-8"
	if e.html {
		body = "<html><head><title>" + http.StatusText(e.status) + "</title></head><body></body></html>\n"
		contentType = "text/html"
	}
	x.common(contentType, len(body))
	h := x.w.Header()
	if e.retryAfter != "" {
		h.Set("Retry-After", e.retryAfter)
	}
	if e.status == http.StatusBadRequest || x.fault.Kind == RefuseEarly {
		h.Set("Connection", "close")
	}
	if e.status == http.StatusUnauthorized && x.log.Call == "b2_authorize_account" {
		h["WWW-Authenticate"] = []string{`BASIC realm="authorize_account"`}
	}
	x.w.WriteHeader(e.status)
	_, _ = x.w.Write([]byte(body))
}

// pace holds n bytes of body back as a slow link would. Waits shorter than a
// timer keeps are saved up, and one that took too long is made up for, within
// bounds, so that a fast link keeps its rate.
func (x *exchange) pace(ctx context.Context, n int) error {
	const shortest, mostBehind = time.Millisecond, 100 * time.Millisecond
	rate := x.rate()
	if rate == 0 {
		return nil
	}
	now := time.Now()
	if earliest := now.Add(-mostBehind); x.due.IsZero() {
		x.due = now
	} else if x.due.Before(earliest) {
		x.due = earliest
	}
	x.due = x.due.Add(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
	if wait := x.due.Sub(now); wait >= shortest && !x.s.sleep(ctx, wait) {
		return localserver.ErrGone
	}
	return nil
}

// rate is the bytes per second of this exchange, 0 for no limit.
func (x *exchange) rate() int64 {
	rate := x.s.opts.Bandwidth
	if x.fault.Kind == SlowBody && (rate == 0 || x.fault.Rate < rate) {
		rate = x.fault.Rate
	}
	return rate
}
