package bundle

import "regexp"

// gone stands where something was left out.
const gone = "(left out)"

// redact leaves out of a text what looks like a secret: private keys in PEM (RFC 7468), tokens in the form of a JWT (RFC 7519), HTTP
// credentials (RFC 9110 §11.4), passwords in URLs (RFC 3986 §3.2.1), and values that are named password, token and the like.
func redact(text []byte) []byte {
	const named = `(?i)\b((?:[a-z0-9]+[-_])*(?:password|passwd|token|api[-_]?key|private[-_]?key|secret[-_]?key|client[-_]?secret|authorization|credentials?)\\?["']?[ \t]*[:=][ \t]*)`
	for _, p := range []struct{ pattern, with string }{
		{`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\z)`, gone},
		{`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*)?`, gone},
		{`(?i)\b(bearer|basic)[ \t]+[A-Za-z0-9+/=._~-]{8,}`, "${1} " + gone},
		{`://[^/\s:@"]*:[^/\s@"]+@`, "://" + gone + "@"},
		{named + `(\\?["'])[^"'\n]*?(\\?["'])`, "${1}${2}" + gone + "${3}"},
		{named + `[^\s"'\\,;}(][^\s"'\\,;}]*`, "${1}" + gone},
	} {
		text = regexp.MustCompile(p.pattern).ReplaceAll(text, []byte(p.with))
	}
	return text
}
