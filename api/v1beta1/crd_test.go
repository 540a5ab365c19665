package v1beta1

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	apivalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"sigs.k8s.io/yaml"
)

// crd is one generated CustomResourceDefinition with the validators that an API server builds from it: the tests of this
// package judge YAML by the code that judges it in a cluster.
type crd struct {
	t          *testing.T
	definition *apiextensions.CustomResourceDefinition
	structural *schema.Structural
	openAPI    apivalidation.SchemaValidator
	cel        *cel.Validator
}

// loadCRD reads config/crd/bases/metallb.io_PLURAL.yaml.
func loadCRD(t *testing.T, plural string) *crd {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "config", "crd", "bases", "metallb.io_"+plural+".yaml"))
	if err != nil {
		t.Fatalf("reading the CRD: %v (make generate writes it)", err)
	}
	var v1 apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(data, &v1); err != nil {
		t.Fatalf("decoding the CRD: %v", err)
	}
	apiextensionsv1.SetDefaults_CustomResourceDefinition(&v1)
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&v1.Spec)
	c := &crd{t: t, definition: &apiextensions.CustomResourceDefinition{}}
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&v1, c.definition, nil); err != nil {
		t.Fatalf("converting the CRD: %v", err)
	}
	if n := len(c.definition.Spec.Versions); n != 1 {
		t.Fatalf("%s has %d versions, want 1", plural, n)
	}
	s := c.definition.Spec.Validation
	if s == nil { // the conversion moves the schema of a single version up
		s = c.definition.Spec.Versions[0].Schema
	}
	if c.structural, err = schema.NewStructural(s.OpenAPIV3Schema); err != nil {
		t.Fatalf("the schema is not structural: %v", err)
	}
	if c.openAPI, _, err = apivalidation.NewSchemaValidator(s.OpenAPIV3Schema); err != nil {
		t.Fatalf("making the schema validator: %v", err)
	}
	c.cel = cel.NewValidator(c.structural, true, celconfig.PerCallLimit)
	return c
}

// errors returns what an API server answers to the creation (old is empty) or update of an object in YAML, one line for
// each error, after it applied the defaults. An unknown field is an error too, as it is for kubectl.
func (c *crd) errors(old, yamlText string) []string {
	c.t.Helper()
	obj := c.decode(yamlText)
	var out []string
	unknown := pruning.PruneWithOptions(c.decode(yamlText), c.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range unknown {
		out = append(out, "unknown field "+path)
	}
	defaulting.Default(obj, c.structural)
	var errs field.ErrorList
	if old == "" {
		errs = apivalidation.ValidateCustomResource(nil, obj, c.openAPI)
	} else {
		errs = apivalidation.ValidateCustomResourceUpdate(nil, obj, c.decode(old), c.openAPI)
	}
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, c.structural, obj)...)
	var oldObj any
	if old != "" {
		oldObj = c.decode(old)
	}
	celErrs, left := c.cel.Validate(context.Background(), nil, c.structural, obj, oldObj, celconfig.RuntimeCELCostBudget)
	if left < 0 {
		out = append(out, "the validation costs more than an API server allows")
	}
	for _, err := range append(errs, celErrs...) {
		out = append(out, err.Field+": "+err.ErrorBody())
	}
	return out
}

func (c *crd) decode(yamlText string) map[string]any {
	c.t.Helper()
	var obj map[string]any
	if err := yaml.Unmarshal([]byte(yamlText), &obj); err != nil {
		c.t.Fatalf("decoding YAML: %v\n%s", err, yamlText)
	}
	return obj
}

// plurals are the kinds of this package as the API server names them in URLs.
func plurals() []string { return []string{"ipaddresspools", "l2advertisements", "servicel2statuses"} }

func TestAPIServerAcceptsTheCRDs(t *testing.T) {
	for _, plural := range plurals() {
		t.Run(plural, func(t *testing.T) {
			c := loadCRD(t, plural)
			c.definition.Status.StoredVersions = []string{"v1beta1"} // the API server sets it on creation
			for _, err := range validation.ValidateCustomResourceDefinition(context.Background(), c.definition) {
				t.Errorf("%s: %s", err.Field, strings.TrimSpace(err.ErrorBody()))
			}
		})
	}
}

// compileErrors returns what the rules of a schema and everything below it use that the environment does not have, and the
// number of rules.
func compileErrors(s *schema.Structural, env *environment.EnvSet) (rules int, problems []string) {
	if len(s.XValidations) > 0 {
		rules = len(s.XValidations)
		results, err := cel.Compile(s, model.SchemaDeclType(s, false), celconfig.PerCallLimit, env, cel.NewExpressionsEnvLoader())
		if err != nil {
			problems = append(problems, err.Error())
		}
		for i, r := range results {
			if r.Error != nil {
				problems = append(problems, s.XValidations[i].Rule+": "+r.Error.Error())
			}
			if r.MessageExpressionError != nil {
				problems = append(problems, s.XValidations[i].MessageExpression+": "+r.MessageExpressionError.Error())
			}
		}
	}
	below := slices.Collect(maps.Values(s.Properties))
	if s.Items != nil {
		below = append(below, *s.Items)
	}
	for i := range below {
		n, more := compileErrors(&below[i], env)
		rules, problems = rules+n, append(problems, more...)
	}
	return rules, problems
}

// A new CRD may use what the version before its API server already had, so this is Kubernetes 1.31, the oldest that the chart
// admits.
func TestRulesNeedNothingNewerThanTheOldestKubernetes(t *testing.T) {
	env := environment.MustBaseEnvSet(version.MajorMinor(1, 30))
	all := 0
	for _, plural := range plurals() {
		n, problems := compileErrors(loadCRD(t, plural).structural, env)
		all += n
		for _, p := range problems {
			t.Errorf("%s: %s", plural, p)
		}
	}
	if all < 10 {
		t.Errorf("%d rules were compiled, want all of them", all)
	}
}
