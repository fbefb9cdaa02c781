"""What each metric is: the words, the unit, the source, once and for every report."""

from collections.abc import Mapping
from dataclasses import dataclass, field

AS_BUILT = "as built"
SCALE_FAIR = "scale-fair"
MIXTURE = "mixture"
NO_PRIOR = ""
COLUMNS = (AS_BUILT, SCALE_FAIR, MIXTURE, NO_PRIOR)
COLUMN_TITLES = {
    AS_BUILT: "Prior N(0, I)",
    SCALE_FAIR: "Fitted Gaussian",
    MIXTURE: "Fitted mixture",
    NO_PRIOR: "",
}
PRIOR_WORDS = {
    AS_BUILT: "N(0, I)",
    SCALE_FAIR: "N(m, S) fitted to the encodings",
    MIXTURE: "ten Gaussians fitted to the encodings",
    NO_PRIOR: "the prior",
}

HIGHER = "higher"
LOWER = "lower"
NEAR_IDEAL = "near the ideal"
# A metric that no side of can be called the better one: it describes.
DESCRIBES = "describes"
DIRECTIONS = (HIGHER, LOWER, NEAR_IDEAL, DESCRIBES)

HEADLINE = "headline"
INFORMATION = "information"
PRIOR = "prior"
SAMPLES = "samples"
GEOMETRY = "geometry"
FACTORS = "factors"
GROUPS = (HEADLINE, INFORMATION, PRIOR, SAMPLES, GEOMETRY, FACTORS)

OUR_DEFINITION = "our definition"
FAR_SHARE = 0.05


@dataclass(frozen=True)
class Definition:
    """What a metric is; everything about it that does not depend on a model.

    Attributes:
        key: for programs: "hole_rate".
        title: for people.
        unit: of the value, its interval, the chance level and the ideal value.
        plain_words: one sentence for someone who meets it for the first time.
        definition: one sentence with the definition and its limits; {prior} stands for the prior
            of a column.
        source: the paper, or "our definition".
        direction: "higher", "lower", "near the ideal", or "describes" of one that ranks nothing.
        ideal: the value of a perfect model; None where there is none, or where the estimate holds
            the one that was measured for its data.
        ideal_means: what the ideal value is, in a few words; "" where there is none.
        chance_means: what the chance level is: the value of a model without the structure that the
            metric looks for; "" where there is none.
        group: which part of the report it belongs to, one of `GROUPS`.
        columns: the priors that it is estimated under; ("",) where no prior enters it.
        headline_columns: the columns in which it is one of the few that are shown first.
        fixed: columns in which the value holds by construction, and why; it counts for nothing.
        units: the unit in a column, where it is another one there.
    """

    key: str
    title: str
    unit: str
    plain_words: str
    definition: str
    source: str
    direction: str
    group: str
    ideal: float | None = None
    ideal_means: str = ""
    chance_means: str = ""
    columns: tuple[str, ...] = (NO_PRIOR,)
    headline_columns: tuple[str, ...] = ()
    fixed: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)

    def unit_in(self, column: str) -> str:
        """The unit in a column."""
        return self.units.get(column, self.unit)

    def definition_in(self, column: str) -> str:
        """The definition with the prior of a column."""
        return self.definition.replace("{prior}", PRIOR_WORDS[column])

    def group_in(self, column: str) -> str:
        """The part of the report that the metric belongs to in a column."""
        if self.headline_columns and column not in self.headline_columns:
            return PRIOR
        return self.group

    def headline_in(self, column: str) -> bool:
        """Whether it is one of the few that are shown first, in a column."""
        return column in self.headline_columns


_GAUSSIANS = (AS_BUILT, SCALE_FAIR)
_PRIORS = (AS_BUILT, SCALE_FAIR, MIXTURE)
_ONE = (NO_PRIOR,)
_KL_SPLIT = "Hoffman & Johnson 2016; Chen et al. 2018, arXiv:1802.04942"
_PRDC = "Naeem et al. 2020, arXiv:2002.09797"
_JACOBIAN = "Odena et al. 2018, arXiv:1802.08768; Arvanitidis et al. 2018, arXiv:1710.11379"
_DEALT = "the same figure with the images' factors dealt to the codes at random"
_HALVES = "the same figure of another half of the real images"
_DCI = "Eastwood & Williams 2018, openreview.net/forum?id=By-7dz-AZ"

_ALL = (
    Definition(
        key="reconstruction_nll",
        title="Reconstruction error",
        unit="nats per image",
        plain_words="How badly an image is described after the encoder squeezed it into a code and "
        "the decoder made an image of it: the lower, the more of the image came through.",
        definition="Negative log-likelihood -log p(x|z) at the posterior mean, summed over pixels "
        "and averaged over held-out images (not the ELBO's expectation over q(z|x)). Only models "
        "of the same images and the same likelihood compare; a Bernoulli likelihood of grey levels "
        "is no density of grey images (continuous Bernoulli: arXiv:1907.06845).",
        source="Kingma & Welling 2014, arXiv:1312.6114",
        direction=LOWER,
        group=HEADLINE,
        chance_means="every image answered with the mean training image",
        headline_columns=_ONE,
    ),
    Definition(
        key="reconstruction_mse",
        title="Reconstruction error per pixel",
        unit="mean squared error per pixel",
        plain_words="How far each pixel of the reconstruction is from the original, squared, on a "
        "scale where black is 0 and white is 1.",
        definition="Squared error of the decoder's mean image at the posterior mean, averaged over "
        "pixels, channels and held-out images; it compares models whose likelihoods differ.",
        source="standard",
        direction=LOWER,
        group=HEADLINE,
        ideal=0.0,
        ideal_means="the image itself",
        chance_means="every image answered with the mean training image",
        headline_columns=_ONE,
    ),
    Definition(
        key="knn_accuracy",
        title="k-NN accuracy",
        unit="share of images",
        plain_words="How often the class of an image can be read off the 10 images nearest to it "
        "in the latent space, though the model never saw a class.",
        definition="Leave-one-out 10-nearest-neighbour accuracy among held-out posterior means, "
        "Euclidean, ties to the class met first. The interval is Wilson's, widened by how much the "
        "votes depend on one another, measured on random fifths of the images.",
        source="Cover & Hart 1967; leave-one-out among held-out codes is our choice",
        direction=HIGHER,
        group=HEADLINE,
        ideal=1.0,
        ideal_means="every class right",
        chance_means="the share of the largest class",
        headline_columns=_ONE,
    ),
    Definition(
        key="prior_match",
        title="KL(q(z) ‖ p(z)), Gaussian",
        unit="nats per latent dimension",
        plain_words="How far the cloud of all encodings is from the round cloud N(0, I) that prior "
        "samples come from: 0 means the same centre, width and shape.",
        definition="KL(N(m, S) || N(0, I)) / D with m, S of aggregate-posterior samples (variances "
        "below 1e-6 counted as 1e-6), less its bias at this number of images: the Gaussian part of "
        "KL(q(z) || p(z)) and so a lower bound on it; it does not see holes.",
        source=f"{OUR_DEFINITION}, after KL(q(z) || p(z)) in Hoffman & Johnson 2016; bias: the "
        "moments of a Wishart matrix, Muirhead 1982, section 3.2",
        direction=LOWER,
        group=HEADLINE,
        ideal=0.0,
        ideal_means="encodings with the prior's centre, width and shape",
        columns=_GAUSSIANS,
        headline_columns=_GAUSSIANS,
        fixed={
            SCALE_FAIR: "0 by construction: here the prior is the Gaussian that was fitted to "
            "these encodings"
        },
    ),
    Definition(
        key="hole_rate",
        title="Prior holes",
        unit="share of prior samples",
        plain_words="How many prior samples fall far from every encoding, so that the decoder must "
        "guess; 5 % are expected where encodings and prior agree.",
        definition="P(z ~ {prior}: distance to the 5th nearest encoding exceeds the 95th "
        "percentile of the encodings' own, leave-one-out), encodings being aggregate-posterior "
        "samples. A cloud wider than the prior hides its holes, so read it with the encodings "
        "outside the prior.",
        source=OUR_DEFINITION,
        direction=NEAR_IDEAL,
        group=HEADLINE,
        ideal=FAR_SHARE,
        ideal_means="prior samples as near to encodings as encodings are to each other",
        columns=_PRIORS,
        headline_columns=_GAUSSIANS,
    ),
    Definition(
        key="escape_rate",
        title="Encodings outside the prior",
        unit="share of encodings",
        plain_words="How many images have their encoding where prior samples never fall, so that "
        "such images are never sampled; 5 % are expected where encodings and prior agree.",
        definition="P(encoding: distance to the 5th nearest of as many samples from {prior} "
        "exceeds the 95th percentile of the samples' own, leave-one-out). A cloud much smaller "
        "than the prior is never outside it, so read it with the prior holes.",
        source=OUR_DEFINITION,
        direction=NEAR_IDEAL,
        group=HEADLINE,
        ideal=FAR_SHARE,
        ideal_means="encodings as near to prior samples as these are to each other",
        columns=_PRIORS,
        headline_columns=_GAUSSIANS,
    ),
    Definition(
        key="coverage_ratio",
        title="Coverage of prior samples",
        unit="of the coverage of reconstructions",
        plain_words="How much of the variety that the model can reconstruct also turns up when it "
        "decodes prior samples; 1 is all of it.",
        definition="Coverage (k = 5, in features, against held-out images) of decoded samples from "
        "{prior} over that of as many reconstructions of other held-out images, so that a blurred "
        "decoder is not blamed twice. It sees variety, not stray images beside it.",
        source=f"{_PRDC}; the ratio is our definition",
        direction=HIGHER,
        group=HEADLINE,
        ideal=1.0,
        ideal_means="all that reconstructions cover",
        chance_means="one image, that of the mean of all encodings, drawn for ever",
        columns=_PRIORS,
        headline_columns=_PRIORS,
    ),
    Definition(
        key="midpoint_realism",
        title="Midpoint realism",
        unit="of the realism of reconstructions",
        plain_words="How real the decoded image half-way between the codes of two images looks, "
        "compared with the two reconstructions; 1 is just as real.",
        definition="Median realism of the decoded midpoint of two posterior means over that of the "
        "two reconstructions; realism is max_i r_5(i) / |f(p) - f(i)| over the half of held-out "
        "images with the smaller r, in features. A path that stays on typical images scores high "
        "however little it has to do with its ends.",
        source="Kynkäänniemi et al. 2019, equation 3, arXiv:1904.06991, with k = 5; the ratio is "
        "our definition",
        direction=HIGHER,
        group=HEADLINE,
        ideal=1.0,
        ideal_means="midpoints as real as reconstructions",
        chance_means="the two reconstructions blended pixel by pixel",
        headline_columns=_ONE,
    ),
    Definition(
        key="class_kept",
        title="Label stability under latent noise",
        unit="share of images",
        plain_words="How often the decoded image keeps its class when a little noise is added to "
        "its code; 1 is always.",
        definition="P(c(decode(z + 0.25 s eps)) = c(decode(z))), z the posterior mean of a "
        "held-out image, s the encodings' standard deviation along each axis, eps ~ N(0, I), c a "
        "small classifier of the data set; the noise scales with the encodings, so an AE's scale "
        "drops out. A decoder that makes one class alone has 1, and a chance level of 1.",
        source=OUR_DEFINITION,
        direction=HIGHER,
        group=HEADLINE,
        ideal=1.0,
        ideal_means="every class kept",
        chance_means="the two classes paired at random",
        headline_columns=_ONE,
    ),
    Definition(
        key="active_units",
        title="Active units",
        unit="latent dimensions",
        plain_words="How many latent dimensions the model uses at all; moving a code along any "
        "other changes nothing in the image.",
        definition="Dimensions with Var_x(E[z|x]) > 0.01 over held-out images; an AE's scale is "
        "arbitrary, so its threshold is 0.01 of its widest dimension (our choice).",
        source="Burda et al. 2016, section 5.2, arXiv:1509.00519",
        direction=DESCRIBES,
        group=INFORMATION,
    ),
    Definition(
        key="kl",
        title="KL to the prior (rate)",
        unit="nats per image",
        plain_words="How much more precisely the encoder places an image than the prior places a "
        "random code: the price of telling the images apart.",
        definition="KL(q(z|x) || N(0, I)) in closed form, summed over dimensions and averaged over "
        "held-out images; 0 is a posterior that ignores its image. It is the sum of the three "
        "terms below up to their sampling error.",
        source="Kingma & Welling 2014, arXiv:1312.6114, appendix B",
        direction=DESCRIBES,
        group=INFORMATION,
        chance_means="a posterior that ignores its image",
    ),
    Definition(
        key="mutual_information",
        title="Mutual information I(x; z)",
        unit="nats per image",
        plain_words="How well one can tell from a code which of the images it came from: 0 means "
        "not at all.",
        definition="I(x; z) = E[log q(z|x) - log q(z)] with q(z) the mixture of all N posteriors, "
        "the code's own included, so never above log N: a lower bound on that of endless images.",
        source=_KL_SPLIT,
        direction=DESCRIBES,
        group=INFORMATION,
        chance_means="a code that says nothing of its image",
    ),
    Definition(
        key="total_correlation",
        title="Total correlation",
        unit="nats per image",
        plain_words="How much the latent dimensions say about each other: at the ideal value they "
        "say nothing, and each can be drawn by itself.",
        definition="KL(q(z) || prod_d q(z_d)) with full sums over the N posteriors; biased upwards "
        "at finite N where posteriors are narrow, so its ideal value is the same estimate with "
        "each dimension's posteriors dealt to the images at random.",
        source=_KL_SPLIT,
        direction=NEAR_IDEAL,
        group=INFORMATION,
        ideal_means="independent dimensions, measured at the same number of images",
    ),
    Definition(
        key="dimension_wise_kl",
        title="Dimension-wise KL",
        unit="nats per image",
        plain_words="How far the encodings lie from the prior's bell curve when every latent "
        "dimension is looked at by itself.",
        definition="sum_d KL(q(z_d) || N(0, 1)), q(z_d) the mixture of all N marginal posteriors; "
        "unlike the Gaussian KL it sees more than mean and variance, and no dependence.",
        source=_KL_SPLIT,
        direction=LOWER,
        group=INFORMATION,
        ideal=0.0,
        ideal_means="every dimension a bell curve N(0, 1)",
    ),
    Definition(
        key="mmd",
        title="MMD² to the prior",
        unit="squared kernel distance, 0 to 2",
        plain_words="How unlike the cloud of encodings and a cloud of prior samples are when both "
        "are looked at through a blur as wide as the prior.",
        definition="Unbiased MMD^2 of the encodings to {prior} with the kernel "
        "exp(-|z - z'|^2 / (2 D)), the prior's part in closed form (whitened encodings for a "
        "fitted Gaussian); around 0 for draws from the prior, and it hardly sees holes.",
        source="Zhao, Song & Ermon 2019, arXiv:1706.02262; closed form: Rustamov 2021, "
        "arXiv:1901.03227",
        direction=LOWER,
        group=PRIOR,
        ideal=0.0,
        ideal_means="encodings that are prior samples",
        columns=_GAUSSIANS,
    ),
    Definition(
        key="precision",
        title="Precision of prior samples",
        unit="share of prior samples",
        plain_words="How many prior samples decode to an image that lies among the real images.",
        definition="Share of decoded samples from {prior} inside a 5th-neighbour ball of a "
        "held-out image, in features; outliers among the images have wide balls and flatter it.",
        source="Kynkäänniemi et al. 2019, arXiv:1904.06991, with k = 5",
        direction=HIGHER,
        group=SAMPLES,
        ideal_means=_HALVES,
        columns=_PRIORS,
    ),
    Definition(
        key="recall",
        title="Recall of prior samples",
        unit="share of images",
        plain_words="How many real images lie among the images that prior samples decode to.",
        definition="Share of held-out images inside a 5th-neighbour ball of a decoded sample from "
        "{prior}, in features; samples strewn far apart have wide balls and flatter it.",
        source="Kynkäänniemi et al. 2019, arXiv:1904.06991, with k = 5",
        direction=HIGHER,
        group=SAMPLES,
        ideal_means=_HALVES,
        columns=_PRIORS,
    ),
    Definition(
        key="density",
        title="Density of prior samples",
        unit="times that of the images",
        plain_words="How closely decoded prior samples keep to where real images are dense; real "
        "images have about 1.",
        definition="Mean number of held-out images' 5th-neighbour balls that hold a decoded sample "
        "from {prior}, over 5; above 1 where samples keep to the densest images and leave out the "
        "rest, so read it with the coverage.",
        source=_PRDC,
        direction=HIGHER,
        group=SAMPLES,
        ideal_means=_HALVES,
        columns=_PRIORS,
    ),
    Definition(
        key="coverage",
        title="Images covered by prior samples",
        unit="share of images",
        plain_words="How many real images have a decoded prior sample beside them that looks much "
        "like them.",
        definition="Share of held-out images whose 5th-neighbour ball, in features, holds at least "
        "one of as many decoded samples from {prior}.",
        source=_PRDC,
        direction=HIGHER,
        group=SAMPLES,
        ideal_means=_HALVES,
        columns=_PRIORS,
    ),
    Definition(
        key="frechet_distance",
        title="Fréchet distance",
        unit="squared distance of features",
        plain_words="How far the cloud of decoded prior samples lies from the cloud of real "
        "images, by their mean and their spread.",
        definition="Fréchet distance of Gaussians fitted to features of decoded samples from "
        "{prior} and of as many held-out images; biased upwards at finite n, so its ideal value is "
        "the distance of two halves of the images; in this data set's own features, so no "
        "published FID.",
        source="Dowson & Landau 1982; of features: Heusel et al. 2017, arXiv:1706.08500",
        direction=LOWER,
        group=SAMPLES,
        ideal_means="the distance of two halves of the real images",
        columns=_PRIORS,
    ),
    Definition(
        key="linear_probe",
        title="Linear probe",
        unit="share of images",
        plain_words="How often the class of an image can be told from its code by straight cuts "
        "through the latent space, though the model never saw a class.",
        definition="Held-out accuracy of multinomial logistic regression (C = 1) on standardised "
        "posterior means, 5 folds of the held-out images; it rises with D by itself.",
        source="Alain & Bengio 2017, arXiv:1610.01644",
        direction=HIGHER,
        group=INFORMATION,
        ideal=1.0,
        ideal_means="every class right",
        chance_means="the share of the largest class",
    ),
    Definition(
        key="jacobian_largest",
        title="Steepest direction",
        unit="grey levels (Euclidean over pixels) per unit of z",
        plain_words="How much the image changes, at most, when its code is moved by one step.",
        definition="Median over codes of the largest singular value of the decoder's Jacobian, on "
        "active dimensions; it grows with the contrast and the number of pixels, so it compares "
        "models of the same images.",
        source=_JACOBIAN,
        direction=DESCRIBES,
        group=GEOMETRY,
        columns=_GAUSSIANS,
        units={
            SCALE_FAIR: "grey levels (Euclidean over pixels) per standard deviation of the "
            "encodings"
        },
    ),
    Definition(
        key="jacobian_condition",
        title="Steepest over flattest direction",
        unit="ratio",
        plain_words="How much more the image changes in the direction where it changes most than "
        "in the one where it changes least; 1 would be alike in all.",
        definition="Median over codes of the Jacobian's condition number on active dimensions, "
        "singular values below 1e-6 of the largest counted as that; neither side is better: a "
        "model that orders its dimensions by importance has a large one.",
        source=_JACOBIAN,
        direction=DESCRIBES,
        group=GEOMETRY,
        columns=_GAUSSIANS,
    ),
    Definition(
        key="jacobian_log_volume",
        title="Magnification",
        unit="nats, of grey levels per unit of z",
        plain_words="How much a small piece of the latent space is enlarged on its way to images.",
        definition="Median over codes of log sqrt det(J^T J) on active dimensions; models with "
        "different numbers of active dimensions do not compare.",
        source=_JACOBIAN,
        direction=DESCRIBES,
        group=GEOMETRY,
        columns=_GAUSSIANS,
        units={SCALE_FAIR: "nats, of grey levels per standard deviation of the encodings"},
    ),
    Definition(
        key="cycle_error",
        title="Re-encoding error ‖E(D(z)) − z‖",
        unit="standard deviations of the encodings, per dimension",
        plain_words="How far a prior sample lies from the code that its own image gets when the "
        "encoder sees it.",
        definition="E|encode(decode(z)) - z|, root mean square over active dimensions in standard "
        "deviations of the encodings, z from {prior}. Neither side is better: a VAE's posterior "
        "mean is shrunk towards 0 by design.",
        source=OUR_DEFINITION,
        direction=DESCRIBES,
        group=GEOMETRY,
        chance_means="the code of another sample's image",
        columns=_GAUSSIANS,
    ),
    Definition(
        key="perceptual_path_length",
        title="Perceptual path length",
        unit="times that of a straight, even path",
        plain_words="How jerkily the image changes on the straight path from one image's code to "
        "another's; 1 is a change as even as can be.",
        definition="E[S sum |step|^2] with S = 16 steps of lerp between posterior means, in "
        "features, over E[|chord|^2], so that the features' scale drops out; at least 1, by "
        "Jensen.",
        source="Karras et al. 2019, section 4.1, arXiv:1812.04948; normalised by us",
        direction=LOWER,
        group=GEOMETRY,
        ideal=1.0,
        ideal_means="an even change",
    ),
    Definition(
        key="arc_over_chord",
        title="Arc over chord",
        unit="times the straight distance",
        plain_words="How much longer the path of the images is than the direct one, on the "
        "straight path between two codes; 1 is no detour.",
        definition="Mean arc over mean chord in features, 16 steps of lerp between posterior means "
        "of pairs of held-out images; at least 1.",
        source="after Shao, Kumar & Fletcher 2018, arXiv:1711.08014; our definition",
        direction=LOWER,
        group=GEOMETRY,
        ideal=1.0,
        ideal_means="no detour",
    ),
    Definition(
        key="mig",
        title="Mutual information gap (MIG)",
        unit="share of a factor's entropy",
        plain_words="How much more the best latent dimension tells about a factor of the image, "
        "such as a size, than the second best; 1 is a dimension of its own for every factor.",
        definition="Mean over factors of (I(z_a; v) - I(z_b; v)) / H(v), a and b the two most "
        "informative dimensions, posterior means and amounts cut into 20 equal parts of their "
        "range; biased upwards at finite N in each I, less so in the gap.",
        source="Chen et al. 2018, arXiv:1802.04942; binned as in Locatello et al. 2019, "
        "arXiv:1811.12359",
        direction=HIGHER,
        group=FACTORS,
        ideal=1.0,
        ideal_means="a dimension of its own for every factor",
        chance_means=_DEALT,
    ),
    Definition(
        key="sap",
        title="Separated attribute predictability (SAP)",
        unit="difference of scores",
        plain_words="How much better a factor of the image can be read off the best latent "
        "dimension than off the second best.",
        definition="Mean over factors of the gap between the two best dimensions, scored by "
        "squared correlation for amounts and by a linear SVM's held-out accuracy for choices; it "
        "does not see relations that are not straight.",
        source="Kumar et al. 2018, arXiv:1711.00848",
        direction=HIGHER,
        group=FACTORS,
        chance_means=_DEALT,
    ),
    Definition(
        key="disentanglement",
        title="Disentanglement (DCI)",
        unit="1 - entropy, normalised",
        plain_words="How far each latent dimension is about one factor of the image alone; 1 is "
        "entirely.",
        definition="1 - entropy (base K) of a dimension's importances over factors, weighted by "
        "its total, importances of random forests of 30 trees on posterior means, five folds; the "
        "interval is the folds' jackknife.",
        source=_DCI,
        direction=HIGHER,
        group=FACTORS,
        ideal=1.0,
        ideal_means="every dimension about one factor",
        chance_means=_DEALT,
    ),
    Definition(
        key="completeness",
        title="Completeness (DCI)",
        unit="1 - entropy, normalised",
        plain_words="How far each factor of the image is held by one latent dimension alone; 1 is "
        "entirely.",
        definition="1 - entropy (base D) of a factor's importances over dimensions, from the same "
        "forests; it rises with unused dimensions, which leave the entropy and raise its bound; "
        "the interval is the folds' jackknife.",
        source=_DCI,
        direction=HIGHER,
        group=FACTORS,
        ideal=1.0,
        ideal_means="every factor in one dimension",
        chance_means=_DEALT,
    ),
    Definition(
        key="informativeness",
        title="Informativeness (DCI)",
        unit="R², and share of choices",
        plain_words="How well the factors of an image can be told from its code, whichever "
        "dimensions hold them; 1 is without error.",
        definition="Mean over factors of the forests' held-out R² (amounts, at least 0) or "
        "accuracy (choices), five folds; it says nothing of disentanglement by itself.",
        source=_DCI + "; R² and accuracy in place of their error",
        direction=HIGHER,
        group=FACTORS,
        ideal=1.0,
        ideal_means="every factor without error",
        chance_means=_DEALT,
    ),
    Definition(
        key="factor_vae_score",
        title="FactorVAE score",
        unit="share of votes",
        plain_words="How often one can tell which factor a group of images has in common by the "
        "latent dimension that varies least among their codes.",
        definition="Held-out accuracy of a majority vote from the active dimension of least "
        "normalised variance to the factor held still, groups of up to 64 held-out images, amounts "
        "held to a 20th of their range; lenient, since a factor may have several dimensions.",
        source="Kim & Mnih 2018, arXiv:1802.05983",
        direction=HIGHER,
        group=FACTORS,
        ideal=1.0,
        ideal_means="every vote right",
        chance_means="one over the number of factors",
    ),
)
DEFINITIONS: Mapping[str, Definition] = {one.key: one for one in _ALL}
"""Every metric by its key, in the order in which reports show them."""
