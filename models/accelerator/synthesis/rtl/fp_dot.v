// K exact products and, with RUNNING, a running sum, aligned to the largest exponent E among those
// that are not zero, cut toward zero to 2^(E - KEPT), added exactly and rounded once.
//
// A product's exponent is the sum of its operands', a subnormal number's that of the smallest
// normal ones; analysis.formats.Fused with least_exponents = (emin A, emin B).
module fp_dot #(
    parameter K = 4,
    parameter EA = 4,
    parameter MA = 3,
    parameter SUBNORMALSA = 1,
    parameter EB = 4,
    parameter MB = 3,
    parameter SUBNORMALSB = 1,
    parameter KEPT = 13,
    parameter RUNNING = 1,
    parameter E = 8,
    parameter M = 23,
    parameter SUBNORMALS = 1,
    parameter BIAS = -113,   // bias A + bias B - the result's
    parameter ROUNDING = 0,  // 0 nearest, ties to even; 1 toward zero; 2 stochastic
    parameter R = 1          // random bits of a stochastic rounding
) (
    input [K*(EA+MA+1)-1:0] a,
    input [K*(EB+MB+1)-1:0] b,
    input [E+M:0] accumulator,  // idle without RUNNING
    input [R-1:0] random,
    output [E+M:0] sum
);
    localparam P = MA + MB + 2;
    localparam XP = 2 + (EA > EB ? EA : EB) + $clog2(P);
    localparam SPAN = BIAS < 0 ? -BIAS : BIAS;
    localparam N = K + (RUNNING ? 1 : 0);
    localparam T = KEPT + 2;              // a term's magnitude, two bits before the point
    localparam S = T + $clog2(N) + 1;     // their sum, with its sign
    localparam X = $clog2((2 << (EA > EB ? EA : EB)) + (1 << E) + SPAN + S) + 2;

    wire [N*X-1:0] exponents;  // on the products' scale; the least number for a zero
    wire [N*(T+1)-1:0] terms;
    wire signed [X-1:0] top;
    genvar k;
    generate
        for (k = 0; k < K; k = k + 1) begin : lane
            wire sign;
            wire signed [XP-1:0] after;  // of the bit above the point
            wire [P-1:0] significand;
            fp_product #(
                .EA(EA), .MA(MA), .SUBNORMALSA(SUBNORMALSA),
                .EB(EB), .MB(MB), .SUBNORMALSB(SUBNORMALSB), .NORMALISE(0)
            ) multiply (
                .a(a[k*(EA+MA+1)+:EA+MA+1]), .b(b[k*(EB+MB+1)+:EB+MB+1]),
                .sign(sign), .exponent(after), .significand(significand)
            );
            wire signed [X-1:0] exponent = after - 1;
            assign exponents[k*X+:X] = |significand ? exponent : {1'b1, {(X-1){1'b0}}};
            aligned_term #(.P(P), .F(P - 2), .KEPT(KEPT), .X(X)) align (
                .sign(sign), .significand(significand), .distance(top - exponent),
                .term(terms[k*(T+1)+:T+1])
            );
        end
        if (RUNNING) begin : running
            wire sign;
            wire [E-1:0] field;
            wire [M:0] significand;
            fp_unpack #(.E(E), .M(M), .SUBNORMALS(SUBNORMALS)) unpack (
                .code(accumulator), .sign(sign), .exponent(field), .significand(significand)
            );
            wire signed [X-1:0] exponent = $signed({1'b0, field}) + BIAS;
            assign exponents[K*X+:X] = |significand ? exponent : {1'b1, {(X-1){1'b0}}};
            aligned_term #(.P(M + 1), .F(M), .KEPT(KEPT), .X(X)) align (
                .sign(sign), .significand(significand), .distance(top - exponent),
                .term(terms[K*(T+1)+:T+1])
            );
        end
    endgenerate
    signed_max #(.K(N), .W(X)) find (.terms(exponents), .largest(top));

    wire [S-1:0] total;
    signed_sum #(.K(N), .W(T + 1), .S(S)) add (.terms(terms), .sum(total));
    wire [S-2:0] magnitude = total[S-1] ? ~total[S-2:0] + 1 : total[S-2:0];

    wire signed [X-1:0] first = top - BIAS + (S - 2 - KEPT);
    fp_round #(
        .E(E), .M(M), .SUBNORMALS(SUBNORMALS), .ROUNDING(ROUNDING), .R(R), .W(S - 1), .X(X)
    ) round (
        .sign(total[S-1]), .magnitude(magnitude), .sticky(1'b0), .exponent(first),
        .random(random), .result(sum)
    );
endmodule
