// round(accumulator + addend), the addend not of the accumulator's format (1, E, M):
// (-1)^sign · significand · 2^(exponent - bias of the accumulator - (P - 1)), its first bit set
// unless it is zero.
module fp_accumulate #(
    parameter E = 5,
    parameter M = 10,
    parameter SUBNORMALS = 1,
    parameter ROUNDING = 0,  // 0 nearest, ties to even; 1 toward zero; 2 stochastic
    parameter R = 1,         // random bits of a stochastic rounding
    parameter P = 8,         // bits of the addend's significand
    parameter X = 8          // bits of its exponent, a signed number
) (
    input [E+M:0] accumulator,
    input sign,
    input signed [X-1:0] exponent,
    input [P-1:0] significand,
    input [R-1:0] random,
    output [E+M:0] sum
);
    localparam W = P > M + 1 ? P : M + 1;
    // bits below the grid that the rounding looks at, and one for the normalisation
    localparam WANTED = M + 2 + (ROUNDING == 0 ? 1 : ROUNDING == 2 ? R : 0);
    localparam G = WANTED > W ? WANTED - W : 1;
    localparam Y = (X > E + 1 ? X : E + 1) + 1;

    wire own_sign;
    wire [E-1:0] own_field;
    wire [M:0] own_significand;
    fp_unpack #(.E(E), .M(M), .SUBNORMALS(SUBNORMALS)) unpack (
        .code(accumulator), .sign(own_sign), .exponent(own_field), .significand(own_significand)
    );
    wire signed [Y-1:0] own_exponent = {1'b0, own_field};
    wire signed [Y-1:0] other_exponent = exponent;
    wire [W-1:0] own_wide = own_significand;
    wire [W-1:0] other_wide = significand;
    wire [W-1:0] own = own_wide << (W - M - 1);
    wire [W-1:0] other = other_wide << (W - P);

    // a zero accumulator stays the big one at the smallest normal number's exponent, so that the
    // alignment brings a tiny addend to the lowest grid
    wire swap = significand[P-1]
        & ($signed({other_exponent, other}) > $signed({own_exponent, own}));
    wire signed [Y-1:0] big_exponent = swap ? other_exponent : own_exponent;
    wire signed [Y-1:0] little_exponent = swap ? own_exponent : other_exponent;
    wire nothing = !SUBNORMALS && !own_significand[M];

    wire sum_sign, sticky;
    wire [W+G:0] magnitude;
    significand_add #(.P(W), .X(Y), .G(G), .ORDERED(!SUBNORMALS)) add (
        .big_sign(swap | nothing ? sign : own_sign), .big(swap ? other : own),
        .little_sign(swap & ~nothing ? own_sign : sign), .little(swap ? own : other),
        .distance(big_exponent - little_exponent),
        .sign(sum_sign), .magnitude(magnitude), .sticky(sticky)
    );

    wire signed [Y-1:0] first = big_exponent + 1;  // the carry's
    fp_round #(
        .E(E), .M(M), .SUBNORMALS(SUBNORMALS), .ROUNDING(ROUNDING), .R(R), .W(W + G + 1), .X(Y),
        .BELOW(!SUBNORMALS)  // the alignment has brought all to exponents >= 1
    ) round (
        .sign(sum_sign), .magnitude(magnitude), .sticky(sticky), .exponent(first),
        .random(random), .result(sum)
    );
endmodule
